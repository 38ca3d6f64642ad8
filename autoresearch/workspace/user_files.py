"""The user's own files in the working tree, as far as a researcher may change them."""

from collections.abc import Container, Mapping
from dataclasses import dataclass

from autoresearch.errors import UserError
from autoresearch.files import write_atomically
from autoresearch.workspace.edited_files import EditedFiles
from autoresearch.workspace.git import GitCommands


@dataclass(frozen=True)
class UserFiles:
    """Compare the user's files with versions, and replace them on request; neither the index nor HEAD changes."""

    _git: GitCommands
    _edited: EditedFiles

    def are_dirty(self) -> bool:
        """Return True if a file differs from HEAD in the working tree or the index."""
        return self._git.output("status", "--porcelain", "--", *self._edited.specs) != b""

    def replace(self, text: str, known: Container[str | None], force: bool = False) -> None:
        """Write a version into the files, each as a whole or not at all.

        Raises UserError before anything is written if changes would be lost, unless with `force`: those that are not
        committed, where the files are not those of a version with one of the hashes `known`. `git status` is not
        enough: it shows no change of a file that is marked as assume-unchanged or skip-worktree.
        """
        files = self._edited.split(text)
        if not force and (lost := self._lost_changes(files, known)):
            words = f"{lost} has changes that are not committed, which would be lost"
            raise UserError(f"{words}: commit them, or replace them with --force")
        for path, content in files.items():
            write_atomically(self._git.top / path, [content])

    def _lost_changes(self, files: Mapping[str, str], known: Container[str | None]) -> str | None:
        """Return the first of the user's files whose content neither HEAD nor a known version has."""
        entries = self._edited.entries("HEAD")
        present = [path for path in files if (self._git.top / path).exists()]
        changed = [path for path in present if path not in entries or entries[path].sha not in self._hashes(path)]
        if changed and self._edited.blob_on_disk(self._git.top) not in known:
            return changed[0]
        return None

    def have_taken_over(self, sha: str) -> bool:
        """Return whether the user's files are, or were in HEAD's history, as in the commit of a version."""
        if self._git.is_ancestor(sha, "HEAD"):
            return True
        return all(self._has_had(path, entry.sha) for path, entry in self._edited.entries(sha).items())

    def _has_had(self, path: str, blob: str) -> bool:
        if (self._git.top / path).is_file() and blob in self._hashes(path):
            return True
        spec = f":(top,literal){path}"
        return bool(self._git.line("log", "-1", "--format=%H", f"--find-object={blob}", "HEAD", "--", spec))

    def _hashes(self, path: str) -> tuple[str, str]:
        """Return git's hash of the bytes of a file of the user's, and that of what its filters would store."""
        content = (self._git.top / path).read_bytes()
        plain = self._git.line("hash-object", "--stdin", "--no-filters", stdin=content)
        return plain, self._git.line("hash-object", "--stdin", f"--path={path}", stdin=content)
