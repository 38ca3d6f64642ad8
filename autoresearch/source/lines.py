"""Lines of a program as Python counts them, and how its file is written: line ends and a byte-order mark.

Python reads `\\r\\n`, `\\r` and `\\n` as the same end of a line, also within strings, and no other character as one. So
an edit is made in plain text, and the result is written as the file was.
"""

import re
from collections import Counter

from autoresearch.source_tree import SourceTree

BOM = "\ufeff"
_END = re.compile(r"\r\n|\r|\n")


def split_lines(text: str) -> list[str]:
    """Return the lines of a text with their ends; "".join() of them is the text."""
    starts = [0, *(match.end() for match in _END.finditer(text))]
    lines = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]
    return lines if lines[-1] else lines[:-1]


def plain(text: str) -> str:
    """Return a text without a byte-order mark, whose lines end in newlines."""
    return _END.sub("\n", text.removeprefix(BOM))


def plain_files(text: str) -> str:
    """Return a version whose files are plain."""
    return SourceTree.parse(text).map(plain).text


def written_like(original: str, text: str) -> str:
    """Return a version whose files have the byte-order marks and the line ends of those of `original`.

    If these are mixed, the lines before and after the change keep theirs, and the changed lines get the most common.
    A text that has the same mix already stays as it is, and so does a new file.
    """
    old, new = SourceTree.parse(original).files, SourceTree.parse(text)
    files = {path: _written_like(old[path], each) if path in old else each for path, each in new.files.items()}
    return SourceTree(files, new.framed).text


def _written_like(original: str, text: str) -> str:
    mark = BOM if original.startswith(BOM) else ""
    old, new = split_lines(original.removeprefix(BOM)), split_lines(plain(text))
    ends = _ends(original)
    if _ends(text).keys() == ends.keys() and text.startswith(BOM) == bool(mark):
        return text
    common = ends.most_common(1)[0][0] if ends else "\n"
    head = _common_start(old, new)
    tail = _common_start(old[head:][::-1], new[head:][::-1])
    changed = [line.replace("\n", common) for line in new[head : len(new) - tail]]
    return mark + _join([*old[:head], *changed, *old[len(old) - tail :]])


def _join(lines: list[str]) -> str:
    """Return the text of these lines; after a `\\r`, an empty line ends in `\\r` too: `\\r\\n` would be one end."""
    apart: list[str] = []
    for line in lines:
        one_end = line == "\n" and apart and apart[-1].endswith("\r")
        apart.append("\r" if one_end else line)
    return "".join(apart)


def _ends(text: str) -> Counter[str]:
    return Counter(_END.findall(text))


def _common_start(old: list[str], new: list[str]) -> int:
    """Return how many lines at the start of both are equal but for their ends."""
    pairs = zip(old, new, strict=False)
    return next((k for k, (a, b) in enumerate(pairs) if _END.sub("\n", a) != b), min(len(old), len(new)))
