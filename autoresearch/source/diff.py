"""Differences between two texts of train.py."""

import difflib
import io

from autoresearch.source.constants import constants

MAX_CONSTANTS = 6  # in a summary


def unified_diff(before: str, after: str, name: str = "train.py") -> str:
    """Return the change as a patch that `git apply` understands; empty for equal texts."""
    old, new = (list(io.StringIO(text, newline="\n")) for text in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(x if x.endswith("\n") else f"{x}\n\\ No newline at end of file\n" for x in lines)


def lines_changed(before: str, after: str) -> tuple[int, int]:
    """Return the numbers of added and of removed lines."""
    changes = unified_diff(before, after).split("\n")[2:]
    return sum(x.startswith("+") for x in changes), sum(x.startswith("-") for x in changes)


def summary(before: str, after: str) -> str:
    """Return the change in one line: constants by name, everything else as counts of lines."""
    added, removed = lines_changed(before, after)
    try:
        old, new = ({c.name: c.spelling for c in constants(text)} for text in (before, after))
    except SyntaxError:
        old = new = {}
    changed = [f"{name} {old[name]} -> {new[name]}" for name in old if old[name] != new.get(name, old[name])]
    complete = added == removed == len(changed) > 0
    return ", ".join([*changed[:MAX_CONSTANTS], *([] if complete else [f"+{added} -{removed} lines"])])
