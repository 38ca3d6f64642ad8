"""Differences between two texts of train.py."""

import difflib
import io

from autoresearch.source.constants import constants

MOST_NAMED = 6  # constants in a summary


def unified_diff(before: str, after: str, name: str = "train.py") -> str:
    """The change as a patch that `git apply` understands; empty for equal texts."""
    old, new = (list(io.StringIO(text, newline="\n")) for text in (before, after))
    lines = difflib.unified_diff(old, new, f"a/{name}", f"b/{name}")
    return "".join(x if x.endswith("\n") else f"{x}\n\\ No newline at end of file\n" for x in lines)


def lines_changed(before: str, after: str) -> tuple[int, int]:
    """How many lines were added and removed."""
    changes = unified_diff(before, after).split("\n")[2:]
    return sum(x.startswith("+") for x in changes), sum(x.startswith("-") for x in changes)


def summary(before: str, after: str) -> str:
    """What was changed, in one line: constants by name, everything else as counts of lines."""
    added, removed = lines_changed(before, after)
    try:
        old, new = ({c.name: c.spelling for c in constants(text)} for text in (before, after))
    except SyntaxError:
        old = new = {}
    moved = [f"{name} {old[name]} -> {new[name]}" for name in old if old[name] != new.get(name, old[name])]
    alone = added == removed == len(moved) > 0
    return ", ".join([*moved[:MOST_NAMED], *([] if alone else [f"+{added} -{removed} lines"])])
