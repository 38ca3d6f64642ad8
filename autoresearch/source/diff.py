"""Differences between the texts of two versions."""

import difflib
import io
from collections import Counter
from collections.abc import Iterator

from autoresearch.source.constants import constants
from autoresearch.source_tree import TRAIN, SourceTree, file_pairs

MAX_CONSTANTS = 6  # in a summary
MAX_FILES = 6  # in a summary
MAX_LINE_PAIRS = 300_000  # equal lines that are compared with each other; more could take hours


def unified_diff(before: str, after: str, name: str = TRAIN) -> str:
    """Return the change as a patch that `git apply` understands; empty for equal texts.

    `name` is that of the file where there is only one.
    """
    if not (SourceTree.parse(before).framed or SourceTree.parse(after).framed):
        return _file_diff(before, after, name)
    return "".join(_file_diff(old, new, path) for path, old, new in file_pairs(before, after))


def _file_diff(before: str | None, after: str | None, path: str) -> str:
    """Return the change of one file, which may be new or removed."""
    old, new = (list(io.StringIO(text or "", newline="\n")) for text in (before, after))
    compare = difflib.unified_diff if _line_pairs(old, new) <= MAX_LINE_PAIRS else _replace_all
    lines = compare(old, new, _side("a", path, before), _side("b", path, after))
    return "".join(x if x.endswith("\n") else f"{x}\n\\ No newline at end of file\n" for x in lines)


def _side(side: str, path: str, text: str | None) -> str:
    return "/dev/null" if text is None else f"{side}/{path}"


def _line_pairs(old: list[str], new: list[str]) -> int:
    """Count the pairs of equal lines, without those that difflib takes for too popular to compare."""
    ours, theirs = Counter(old), Counter(new)
    most = len(new) if len(new) < 200 else len(new) // 100 + 1
    return sum(count * theirs[line] for line, count in ours.items() if theirs[line] <= most)


def _replace_all(old: list[str], new: list[str], before: str, after: str) -> Iterator[str]:
    """Yield a patch that replaces all lines."""
    if old != new:
        sides = (f"{min(1, len(lines))},{len(lines)}" for lines in (old, new))
        yield f"--- {before}\n+++ {after}\n@@ -{next(sides)} +{next(sides)} @@\n"
        yield from (f"-{line}" for line in old)
        yield from (f"+{line}" for line in new)


def lines_changed(before: str, after: str) -> tuple[int, int]:
    """Return the numbers of added and of removed lines."""
    changes = list(_changes(before, after))
    return sum(x.startswith("+") for x in changes), sum(x.startswith("-") for x in changes)


def summary(before: str, after: str) -> str:
    """Return the change in one line: constants by name, everything else as counts of lines; by file of several."""
    if not SourceTree.parse(after).framed:
        return _file_summary(before, after)
    changed = [(path, old or "", new or "") for path, old, new in file_pairs(before, after) if old != new]
    words = [f"{path}: {_file_summary(old, new)}" for path, old, new in changed[:MAX_FILES]]
    more = len(changed) - MAX_FILES
    return "; ".join([*words, *([f"{more} more files"] if more > 0 else [])])


def _file_summary(before: str, after: str) -> str:
    changes = _file_diff(before, after, TRAIN).split("\n")[2:]
    added, removed = (sum(x.startswith(sign) for x in changes) for sign in "+-")
    try:
        old, new = ({c.name: c.spelling for c in constants(text)} for text in (before, after))
    except SyntaxError:
        old = new = {}
    changed = [f"{name} {old[name]} -> {new[name]}" for name in old if old[name] != new.get(name, old[name])]
    complete = added == removed == len(changed) > 0
    return ", ".join([*changed[:MAX_CONSTANTS], *([] if complete else [f"+{added} -{removed} lines"])])


def added_lines(before: str, after: str) -> list[str]:
    """Return the lines that a change adds, without indentation and empty ones."""
    changes = _changes(before, after)
    return [words for line in changes if line.startswith("+") and (words := line[1:].strip())]


def _changes(before: str, after: str) -> Iterator[str]:
    """Yield the lines of the patches of all files, without their headers."""
    for path, old, new in file_pairs(before, after):
        yield from _file_diff(old, new, path).split("\n")[2:]
