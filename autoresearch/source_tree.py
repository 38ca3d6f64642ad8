"""The files of a version by path, all of them as one text, and which files a researcher may change.

The ledger, briefs and agents hold a version as one text. Under the built-in trial that is train.py itself. A version
of the files that `edit` names is framed: each file follows a line with its path and its length,

    ==> prompts/route.md, 412 characters <==

with which no Python program can begin.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

TRAIN = "train.py"
MAX_PATH_CHARS = 200
MAX_FILES = 200
MAX_TREE_CHARS = 1_000_000
TOOL_FILES = (  # programs run them, or take their settings from them, without being asked for
    *("conftest.py", "sitecustomize.py", "usercustomize.py", "*.pth"),
    *("pytest.ini", ".pytest.ini", "tox.ini", "setup.cfg", "pyproject.toml"),
)
_HEAD = re.compile(r"==> (.+), (\d+) characters <==\n")


@dataclass(frozen=True)
class SourceTree:
    """Files of a version by path. Without `framed` it is train.py alone, whose text is that of the version."""

    files: Mapping[str, str]
    framed: bool = True

    @classmethod
    def parse(cls, text: str) -> "SourceTree":
        files = dict(_split(text) or ())
        return cls(files) if files else cls({TRAIN: text}, framed=False)

    @property
    def text(self) -> str:
        if not self.framed:
            return self.files[TRAIN]
        return "".join(f"{_head(path, text)}{text}\n" for path, text in sorted(self.files.items()))

    def map(self, change: Callable[[str], str]) -> "SourceTree":
        """Return the version with each file changed."""
        return SourceTree({path: change(text) for path, text in self.files.items()}, self.framed)


def file_pairs(before: str, after: str) -> Iterator[tuple[str, str | None, str | None]]:
    """Yield path, old and new text of each file of two versions, None where one lacks it; in the order of paths."""
    old, new = SourceTree.parse(before).files, SourceTree.parse(after).files
    for path in sorted(old.keys() | new.keys()):
        yield path, old.get(path), new.get(path)


def _head(path: str, text: str) -> str:
    return f"==> {path}, {len(text)} characters <==\n"


def _split(text: str) -> list[tuple[str, str]] | None:
    """Return the files of a framed text; None for any other text."""
    files, at = list[tuple[str, str]](), 0
    while at < len(text):
        head = _HEAD.match(text, at)
        end = head.end() + int(head[2]) if head and len(head[2]) < 10 else len(text)
        if head is None or text[end : end + 1] != "\n":
            return None
        files.append((head[1], text[head.end() : end]))
        at = end + 1
    return files


@dataclass(frozen=True)
class EditRules:
    """Files that a researcher may change: those that match a pattern; with `create`, also new ones.

    In a pattern, `*` stands for any part of a name and `**` for any folders. Files that other programs take as their
    own (`TOOL_FILES`) match only by their name.
    """

    patterns: tuple[str, ...]
    create: bool = False

    def matches(self, path: str) -> bool:
        return self.covers(path) and not self.is_unnamed_tool(path)

    def covers(self, path: str) -> bool:
        return any(_matches(path.split("/"), pattern.split("/")) for pattern in self.patterns)

    def is_unnamed_tool(self, path: str) -> bool:
        """Return whether other programs take a file as their own, and no pattern has its name."""
        name = PurePosixPath(path).name
        is_tool = any(fnmatchcase(name, each) for each in TOOL_FILES)
        return is_tool and all(PurePosixPath(pattern).name != name for pattern in self.patterns)


@dataclass(frozen=True)
class TreeLimits:
    """Check which files a version has: those of the base, and new ones where the rules allow them."""

    rules: EditRules
    base: Collection[str]  # paths of the base that match the rules
    locked: Collection[str] = ()  # all other paths of the base, and places of what is not in git

    def violation(self, text: str) -> str | None:
        """Return what a version may not have, in words; None if it has what it should."""
        version = SourceTree.parse(text)
        if not version.framed:
            return "it is not a version of the files that `edit` names"
        if gone := sorted(set(self.base) - version.files.keys()):
            return f"`{gone[0]}` is gone: files of the base stay"
        if len(version.files) > MAX_FILES or len(text) > MAX_TREE_CHARS:
            return f"it has over {MAX_FILES} files or {MAX_TREE_CHARS:,} characters"
        new = (path for path in version.files if path not in self.base)
        wrong = next(filter(None, map(self._reason_against, new)), None)
        return wrong or next((f"`{path}` is binary" for path, each in version.files.items() if "\0" in each), None)

    def _reason_against(self, path: str) -> str | None:
        """Return why there may be no new file of this path; None if there may."""
        if self.rules.is_unnamed_tool(path):
            return (
                f"`{path[:MAX_PATH_CHARS]}` would be run or read without being asked for, and `edit` does not name it"
            )
        if not self.rules.create or not self.rules.matches(path):
            return f"`{path[:MAX_PATH_CHARS]}` is none of the files that may change ({', '.join(self.rules.patterns)})"
        if not is_plain_path(path):
            return f"`{path[:MAX_PATH_CHARS]}` cannot be the path of a file"
        clash = find_clash(path, self.locked)
        return f"`{path}` is in the way of `{clash}`" if clash else None


def is_plain_path(path: str) -> bool:
    """Return whether a path is relative, normal, printable, and in no folder of git's."""
    parts = path.split("/")
    is_normal = all(part not in ("", ".", "..") and part.lower() != ".git" for part in parts)
    return is_normal and path.isprintable() and "\\" not in path and len(path) <= MAX_PATH_CHARS


def find_clash(path: str, others: Collection[str]) -> str | None:
    """Return one of the other paths that is the same, or that is inside of the first, or the first inside of it."""
    return next((each for each in others if _is_inside(each, path) or _is_inside(path, each)), None)


def _is_inside(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _matches(parts: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[k:], pattern[1:]) for k in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])
