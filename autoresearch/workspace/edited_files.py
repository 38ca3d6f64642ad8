"""The files of a commit that a researcher may change: train.py alone, or those that match the patterns of `edit`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from autoresearch.errors import Blocker, UserError
from autoresearch.source_tree import EditRules, SourceTree
from autoresearch.workspace.git import GitCommands, blob_hash, encode, no_file

NEW_MODE, LINK, SUBMODULE = "100644", "120000", "160000"


@dataclass(frozen=True)
class Entry:
    """Mode and hash of a file in a commit."""

    mode: str
    sha: str


class EditedFiles(Protocol):
    """Find the files in commits, and turn their texts into the text of a version and back."""

    @property
    def name(self) -> str:
        """Return the path of the file, or the patterns of several."""

    @property
    def specs(self) -> list[str]:
        """Return pathspecs that name the files."""

    def entries(self, commit: str) -> dict[str, Entry]: ...

    def read(self, commit: str) -> str:
        """Return the text of the version in a commit. Raises UserError if there is none, or it is not UTF-8."""

    def blob(self, commit: str) -> str:
        """Return git's hash of the text of the version in a commit. Raises UserError if there is none."""

    def blob_on_disk(self, top: Path) -> str | None:
        """Return git's hash of the version that the user's files are; None if they are no texts."""

    def split(self, text: str) -> Mapping[str, str]:
        """Return the files of a version by path."""

    def check_head(self, top: Path) -> None:
        """Raise Blocker if the last commit has no such files, or one that cannot be edited."""


@dataclass(frozen=True)
class OneFile:
    """A single file; its text is that of the version."""

    git: GitCommands
    name: str

    @property
    def specs(self) -> list[str]:
        return [f":(top,literal){self.name}"]

    def entries(self, commit: str) -> dict[str, Entry]:
        return _parse_entries(self.git.line("ls-tree", "--full-tree", "-z", commit, "--", self.name))

    def read(self, commit: str) -> str:
        return _decode(self.git.output("cat-file", "blob", self.blob(commit)), self.name, commit)

    def blob(self, commit: str) -> str:
        if (entry := self.entries(commit).get(self.name)) is None:
            raise UserError(f"commit {commit[:7]} has no {self.name}")
        return entry.sha

    def blob_on_disk(self, top: Path) -> str | None:
        return _hash_content((top / self.name).read_bytes(), self.git)

    def split(self, text: str) -> Mapping[str, str]:
        return {self.name: text}

    def check_head(self, top: Path) -> None:
        entry = self.entries("HEAD").get(self.name)
        if entry is None:
            raise Blocker(self._advice_on_missing_file(top))
        if not entry.mode.startswith("100"):
            raise Blocker(f"{self.name} is a link or a folder in git: commit the file itself")

    def _advice_on_missing_file(self, top: Path) -> str:
        """Say that HEAD does not have the file, and how to name one of the same name in a subfolder."""
        names = self.git.line("ls-tree", "-r", "--full-tree", "--name-only", "HEAD").splitlines()
        others = [name for name in names if name.rpartition("/")[2] == Path(self.name).name]
        if (top / self.name).exists():
            return f"{self.name} is not committed: `git add {self.name} && git commit` first"
        if not others:
            return no_file(self.name)
        folder = others[0].rpartition("/")[0]
        words = f"{self.name} is not committed, but {', '.join(others[:3])} is"
        settings = top / "autoresearch.yaml"
        return f"{words}: write `train: {others[0]}` and `program: {folder}/program.md` into {settings}"


@dataclass(frozen=True)
class SeveralFiles:
    """Files that match rules; the text of a version is that of a source tree."""

    git: GitCommands
    rules: EditRules

    @property
    def name(self) -> str:
        return ", ".join(self.rules.patterns)

    @property
    def specs(self) -> list[str]:
        return [f":(top,glob){pattern}" for pattern in self.rules.patterns]

    def entries(self, commit: str) -> dict[str, Entry]:
        return {path: entry for path, entry in all_entries(self.git, commit).items() if self.rules.matches(path)}

    def read(self, commit: str) -> str:
        entries = self.entries(commit)
        contents = self.git.read_blobs([entry.sha for entry in entries.values()])
        files = {path: _decode(content, path, commit) for path, content in zip(entries, contents, strict=True)}
        if not files:
            raise UserError(f"commit {commit[:7]} has none of {self.name}")
        return SourceTree(files).text

    def blob(self, commit: str) -> str:
        return blob_hash(self.read(commit), next(iter(self.entries(commit).values())).sha)

    def blob_on_disk(self, top: Path) -> str | None:
        found = self.git.output("ls-files", "-z", "--cached", "--others", "--", *self.specs)
        paths = {path for path in found.decode(errors="surrogateescape").split("\0") if path and (top / path).is_file()}
        try:
            files = {path: (top / path).read_bytes().decode() for path in paths}
        except UnicodeDecodeError:
            return None
        return _hash_content(encode(SourceTree(files).text), self.git)

    def split(self, text: str) -> Mapping[str, str]:
        tree = SourceTree.parse(text)
        if not tree.framed:
            raise UserError(f"a version without paths cannot be one of {self.name}")
        return tree.files

    def check_head(self, top: Path) -> None:
        entries = self.entries("HEAD")
        for pattern in self.rules.patterns:
            if not any(EditRules((pattern,)).matches(path) for path in entries):
                exists = (top / pattern).is_file()
                words = "is not committed: `git add` and `git commit` it first" if exists else "matches no file in git"
                if tools := [path for path in all_entries(self.git, "HEAD") if EditRules((pattern,)).covers(path)]:
                    words = f"has to name {tools[0]} itself: other programs take that file as their own"
                raise Blocker(f"{pattern!r}, which `edit` names, {words}")
        for path, entry in entries.items():
            if not entry.mode.startswith("100") or not path.isprintable():
                raise Blocker(f"{path!r}, which `edit` names, is no plain file in git: leave it out")
        if binary := [path for path, text in self.split(self.read("HEAD")).items() if "\0" in text]:
            raise Blocker(f"{binary[0]!r}, which `edit` names, is binary: leave it out")


def all_entries(git: GitCommands, commit: str) -> dict[str, Entry]:
    """Return everything in the tree of a commit that is no folder, by path."""
    return _parse_entries(git.line("ls-tree", "-r", "--full-tree", "-z", commit))


def write_entries(git: GitCommands, entries: Mapping[str, Entry], folder: Path) -> None:
    """Write files and links into a folder as a commit has them, without filters; submodules stay empty folders."""
    blobs = {path: entry for path, entry in entries.items() if entry.mode != SUBMODULE}
    contents = git.read_blobs([entry.sha for entry in blobs.values()])
    for (path, entry), content in zip(blobs.items(), contents, strict=True):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        if entry.mode == LINK:
            target.symlink_to(content.decode(errors="surrogateescape"))
            continue
        target.write_bytes(content)
        target.chmod(0o755 if entry.mode.endswith("755") else 0o644)


def _hash_content(content: bytes, git: GitCommands) -> str:
    return git.line("hash-object", "--stdin", "--no-filters", stdin=content)


def _decode(content: bytes, path: str, commit: str) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UserError(f"{path} in {commit[:7]} is not UTF-8: convert and commit it") from None


def _parse_entries(listing: str) -> dict[str, Entry]:
    entries = {}
    for line in filter(None, listing.split("\0")):
        head, _, path = line.partition("\t")
        mode, _, sha = head.split(" ")
        entries[path] = Entry(mode, sha)
    return entries
