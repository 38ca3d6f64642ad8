"""The change of one version, made to another one."""

from collections.abc import Callable

from autoresearch.source.constants import Number, constants, with_constants
from autoresearch.source_tree import SourceTree

_OURS, _THEIRS = "<" * 7, ">" * 7  # marks of git around lines in conflict
Merge = Callable[[str, str, str], tuple[str, bool]]
"""Merge two changes of a base by lines: (base, ours, theirs) -> (text, whether they conflict)."""


def rebase_change(merge: Merge, base: str, changed: str, onto: str) -> str | None:
    """Make the change from `base` to `changed` in `onto`, file by file; None if they conflict.

    A change of constants goes by their names, any other by lines, as git merges them: two adjacent constants are no
    conflict, two new values of one constant are. A file that only one version has conflicts with any change of it.
    """
    before, now, there = (SourceTree.parse(text) for text in (base, changed, onto))
    if not there.framed:
        return _rebase_file(merge, base, changed, onto)
    files = dict(there.files)
    for path in before.files.keys() | now.files.keys() | there.files.keys():
        old, new, own = (tree.files.get(path) for tree in (before, now, there))
        if new in (old, own):
            continue
        if own == old:
            merged = new
        elif old is None or new is None or own is None or (merged := _rebase_file(merge, old, new, own)) is None:
            return None
        files = {**files, path: merged} if merged is not None else {k: v for k, v in files.items() if k != path}
    return SourceTree(files).text


def _rebase_file(merge: Merge, base: str, changed: str, onto: str) -> str | None:
    if (values := _changed_constants(base, changed)) is None:
        merged, conflict = merge(base, onto, changed)
        return None if conflict else merged
    before, now = _constants(base), _constants(onto)
    if any(now.get(name) != before[name] for name in values):
        return None
    return with_constants(onto, values)


def find_conflicts(merge: Merge, base: str, changed: str, onto: str, names: tuple[str, str]) -> str:
    """Return the lines where two changes of `base` meet, those of `onto` above those of `changed`.

    `names` are those of `onto` and `changed`. Empty if the changes do not meet in any line.
    """
    merged, _ = merge(base, onto, changed)
    hunks, hunk = list[str](), list[str]()
    for line in merged.splitlines():
        if line.startswith(_OURS):
            hunk = [f"{_OURS} {names[0]}"]
        elif hunk and line.startswith(_THEIRS):
            hunks += [*hunk, f"{_THEIRS} {names[1]}"]
            hunk = []
        elif hunk:
            hunk.append(line)
    return "\n".join(hunks)


def _changed_constants(base: str, changed: str) -> dict[str, Number] | None:
    """Return the new values of constants, if nothing else was changed."""
    before, after = _constants(base), _constants(changed)
    values = {name: value for name, value in after.items() if name in before and before[name] != value}
    try:
        return values if values and with_constants(base, values) == changed else None
    except ValueError:
        return None


def _constants(text: str) -> dict[str, Number]:
    try:
        return {constant.name: constant.value for constant in constants(text)}
    except SyntaxError:
        return {}
