"""A new repository, and a commit of named files in the user's working tree."""

from collections.abc import Sequence
from pathlib import Path

from autoresearch.workspace.git import GitCommands, create_repository, is_in_repository


class InitialCommit:
    """The repository whose top is `folder`, made if there is none. Raises Blocker, GitError."""

    def __init__(self, folder: Path) -> None:
        self.is_new = not is_in_repository(folder)
        if self.is_new:
            create_repository(folder)
        self._git = GitCommands(folder)
        self.top = self._git.top

    def is_tracked(self, name: str) -> bool:
        """Return whether HEAD or the index has a file; it may be deleted in the working tree."""
        in_index = self._git.output("ls-files", "--", _spec(name)) != b""
        return in_index or (self._git.commit_of("HEAD") is not None and self._is_in_head(name))

    def is_clean(self, name: str) -> bool:
        """Return whether a file is the same in HEAD, the index and the working tree."""
        return self.is_tracked(name) and self._git.output("status", "--porcelain", "--", _spec(name)) == b""

    def is_ignored(self, name: str) -> bool:
        """Return whether git ignores a file, which need not exist."""
        return self._git.run("check-ignore", "--quiet", "--no-index", "--", name, accept=range(2))[0] == 0

    def namesakes(self, name: str) -> list[str]:
        """Return the files of the same name in other folders that git has."""
        found = self._git.line("ls-files", "-z", "--", f":(top,glob)**/{Path(name).name}").split("\0")
        return [each for each in found if each not in ("", name)]

    def commit(self, names: Sequence[str], message: str) -> str:
        """Commit files as they are in the working tree; what else is staged or changed stays so. Return the commit."""
        specs = [_spec(name) for name in names]
        self._git.run("add", "--force", "--", *specs)
        self._git.run("commit", "--quiet", "--no-verify", "--only", "--message", message, "--", *specs)
        return self._git.line("rev-parse", "HEAD")

    def _is_in_head(self, name: str) -> bool:
        return self._git.output("ls-tree", "--full-tree", "--name-only", "HEAD", "--", name) != b""


def _spec(name: str) -> str:
    return f":(top,literal){name}"
