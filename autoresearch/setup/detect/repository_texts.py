"""Texts of the files in a commit, for detectors."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autoresearch.workspace.edited_files import all_entries
from autoresearch.workspace.git import GitCommands

MAX_FILES = 3000  # whose texts are read; a larger repository is read as far as that, nearest to its top first
MAX_TEXT_CHARS = 200_000
_TEXTS = re.compile(
    r"(^|/)(makefile|gnumakefile|dockerfile)$|\.(py|sh|toml|cfg|ini|ya?ml|json|jsonl|md|txt|mk|c|cc|cpp|h|hpp|rs|go|jl|js|ts)$",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class RepositoryTexts:
    """Paths of all files, and the texts of those that detectors may read; a file that is no text has an empty one."""

    files: Mapping[str, str]

    def named(self, name: str) -> Iterator[str]:
        """Yield the paths of files with a name, nearest to the top first."""
        found = (path for path in self.files if PurePosixPath(path).name == name)
        yield from sorted(found, key=lambda path: (path.count("/"), path))

    def in_folder(self, folder: str) -> list[str]:
        """Return the paths below a folder; the top is ``."""
        start = f"{folder}/" if folder else ""
        return [path for path in self.files if path.startswith(start)]


def folder_of(path: str) -> str:
    """Return the folder of a path; the top is ``."""
    return path.rpartition("/")[0]


def beside(path: str, name: str) -> str:
    """Return the path of another file in the same folder."""
    return f"{folder_of(path)}/{name}".removeprefix("/")


def read_head(root: Path) -> RepositoryTexts | None:
    """Return the texts of the last commit of a repository; None if it has no commit."""
    git = GitCommands(root)
    if git.commit_of("HEAD") is None:
        return None
    entries = all_entries(git, "HEAD")
    near = sorted(filter(_TEXTS.search, entries), key=lambda path: (path.count("/"), path))[:MAX_FILES]
    near = [path for path in near if entries[path].mode.startswith("100")]
    contents = git.read_blobs([entries[path].sha for path in near])
    texts = {path: _decode(content) for path, content in zip(near, contents, strict=True)}
    return RepositoryTexts({path: texts.get(path, "") for path in entries})


def _decode(content: bytes) -> str:
    try:
        return content.decode()[:MAX_TEXT_CHARS]
    except UnicodeDecodeError:
        return ""
