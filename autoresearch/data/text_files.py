"""Find the text files that a source names: paths, folders and patterns, separated by commas."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from autoresearch.config import expand_user, split_paths
from autoresearch.data import omissions
from autoresearch.data.omissions import SUFFIXES, Omissions
from autoresearch.errors import UsageError, UserError

RECURSIVE = "**"


@dataclass(frozen=True)
class FoundFiles:
    """Absolute paths in order, and what was left out beside them."""

    paths: list[str]
    left_out: Omissions


def find_files(names: str) -> FoundFiles:
    """Find the text files of comma-separated paths and patterns; a folder stands for all below it.

    A path that exists is taken literally, whatever characters it has. Links to files are followed, links to folders
    only where the path or pattern names them. Raises UserError if a name leads to no text file, UsageError if there is
    no name.
    """
    paths: set[str] = set()
    others: dict[str, str] = {}  # what is left out: a reason for each path, however often it is found
    for name in split_paths(names, Path.cwd()):
        found = dict(_expand(expand_user(name).absolute()))
        files = {path for path, reason in found.items() if reason is None}
        others |= {path: reason for path, reason in found.items() if reason is not None}
        if not files:
            raise UserError(_nothing(name, found))
        paths |= files
    if not paths:
        raise UsageError("the source files: needs a path or a pattern, such as 'files:~/notes/**'")
    left_out = Omissions()
    for path in sorted(others):
        left_out.add(others[path], path)
    return FoundFiles(sorted(paths), left_out)


def _nothing(name: str, found: dict[str, str | None]) -> str:
    """Say why a name leads to no text file."""
    line = f"no file matches {name!r} and ends in one of {' '.join(SUFFIXES)}"
    left_out = Omissions()
    for path, reason in found.items():
        left_out.add(reason or "", path)
    counts = "; ".join(f"{count} {reason}" for reason, count in left_out.counts.items())
    return f"{line} ({counts} found): check the path" if counts else f"{line}: check the path"


def _expand(path: Path) -> Iterator[tuple[str, str | None]]:
    """Yield the path of each text file, and of what is left out with the reason."""
    if os.path.isdir(path):  # noqa: PTH112  (Path.is_dir raises for some odd names)
        yield from _walk(str(path))
        return
    known = next(base for base in (path, *path.parents) if os.path.lexists(base))
    pattern = path.relative_to(known).parts
    if not pattern:
        yield str(path), _reason(str(path))
    elif os.path.isdir(known):  # noqa: PTH112
        yield from _match(str(known), pattern)


def _match(folder: str, pattern: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    """Yield what matches the parts of a pattern below a folder."""
    part, rest = pattern[0], pattern[1:]
    if part == RECURSIVE:
        if not rest:
            yield from _walk(folder)
            return
        for below in _folders(folder):
            yield from _match(below, rest)
        return
    for entry in _entries(folder):
        if entry.name != part and not (fnmatchcase(entry.name, part) and _shows(entry.name, part)):
            continue
        if rest:
            if _is_folder(entry):
                yield from _match(entry.path, rest)
        else:
            yield entry.path, omissions.FOLDER if _is_folder(entry) else _reason(entry.path)


def _walk(folder: str) -> Iterator[tuple[str, str | None]]:
    """Yield all below a folder, without what is hidden."""
    for below in _folders(folder):
        for entry in _entries(below):
            if entry.name.startswith("."):
                yield entry.path, omissions.HIDDEN
            elif entry.is_dir(follow_symlinks=False):
                continue
            elif _is_folder(entry):
                yield entry.path, omissions.LINKED_FOLDER
            else:
                yield entry.path, _reason(entry.path)


def _folders(folder: str) -> Iterator[str]:
    """Yield a folder and all below it, without hidden ones and without following links."""
    todo = [folder]
    while todo:
        top = todo.pop()
        yield top
        todo += [
            entry.path
            for entry in _entries(top)
            if entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".")
        ]


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}") from None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder, or a link to one that can be followed."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or through a folder that cannot be read
        return False


def _shows(name: str, part: str) -> bool:
    """Return whether a pattern may match a name: hidden ones only if it begins with a dot too."""
    return part.startswith(".") or not name.startswith(".")


def _reason(path: str) -> str | None:
    """Return why a path is not read, or None."""
    if not os.path.isfile(path):  # noqa: PTH113
        return omissions.NO_FILE
    return None if path.lower().endswith(SUFFIXES) else omissions.OTHER_ENDING
