"""Versions of train.py, or of the files that `edit` names, as git commits, made without a checkout.

refs/autoresearch/<tag>/<n>       experiment n: a commit on the version that it was derived from
refs/autoresearch/<tag>/best      the incumbent; decides where the others disagree
refs/autoresearch/<tag>/branch    the last position of the branch that this program set
refs/heads/autoresearch/<tag>     the branch: follows `best`, unless it is checked out or the user has moved it

The user's files, index and HEAD are never changed, so discarding a version leaves nothing to undo.
"""

import os
import re
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.errors import Blocker, UsageError, UserError
from autoresearch.source_tree import EditRules, TreeLimits
from autoresearch.workspace.edited_files import (
    NEW_MODE,
    EditedFiles,
    Entry,
    OneFile,
    SeveralFiles,
    all_entries,
    write_entries,
)
from autoresearch.workspace.git import COMMIT_ALL, Commit, GitCommands, GitError, blob_hash, encode, no_file
from autoresearch.workspace.user_files import UserFiles

if TYPE_CHECKING:
    from autoresearch.config import Config

TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
RESERVED = ("backups", "ledger.db")  # names in runs/ that are no session
_BASE_MESSAGE = re.compile(rf"Base of ({TAG.pattern})\n")
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # begins what git has of a file in LFS
_REPAIR = "`autoresearch doctor --ledger` says how to put it back"


class Workspace:
    """Versions of `file` (relative to `root`), or of the files of `rules`, in the repository around `root`.

    Raises Blocker if there is no repository or no commit, or the last commit does not have the files. Failures of git
    raise GitError with git's own message.
    """

    @classmethod
    def of(cls, root: Path, config: "Config") -> "Workspace":
        """Return the versions of what the settings let a researcher edit."""
        rules = EditRules(tuple(config.edit), config.create) if config.run is not None else None
        return cls(root, config.train, rules)

    def __init__(self, root: Path, file: str = "train.py", rules: EditRules | None = None) -> None:
        self._git = GitCommands(root)
        self._edited: EditedFiles = (
            SeveralFiles(self._git, rules) if rules else OneFile(self._git, self._inside(root, file))
        )
        if self._git.commit_of("HEAD") is None:
            commit = COMMIT_ALL if rules else f"git add {self.file} && git commit -m start"
            advice = f"the git repository has no commit yet: `{commit}`"
            raise Blocker(advice if rules or (self._git.top / self.file).exists() else no_file(self.file))
        self._edited.check_head(self._git.top)
        self.user_files = UserFiles(self._git, self._edited)

    def _inside(self, root: Path, file: str) -> str:
        path = Path(os.path.normpath(root.resolve() / file))
        if not path.is_relative_to(self._git.top):
            raise UsageError(f"{file} is outside of the git repository {self._git.top}")
        return path.relative_to(self._git.top).as_posix()

    @property
    def file(self) -> str:
        """Return the name of the file, or the patterns of several."""
        return self._edited.name

    # --- the user's side

    def head(self) -> str:
        return self._git.line("rev-parse", "--verify", "HEAD^{commit}")

    def checked_out_branch(self) -> str | None:
        """Return the branch that HEAD is on; None if HEAD is detached."""
        status, out = self._git.run("symbolic-ref", "--quiet", "--short", "HEAD", accept=range(2))
        return out.decode(errors="replace").strip() if status == 0 else None

    # --- versions

    def read(self, sha: str) -> str:
        """Return the text of the version in a commit. Raises UserError if there is none, or it is not UTF-8."""
        return self._edited.read(sha)

    def blob(self, sha: str) -> str:
        """Return git's hash of the text of the version in a commit. Raises UserError if there is none."""
        return self._edited.blob(sha)

    def limits(self, sha: str, rules: EditRules, places: Collection[str] = ()) -> TreeLimits:
        """Return which files a version that follows from a commit may have; none at `places` outside of git."""
        return TreeLimits(rules, self.edited(sha), [*self.locked(sha), *places])

    def has(self, sha: str) -> bool:
        """Return whether git still has a commit."""
        return self._git.commit_of(sha) is not None

    def message(self, sha: str) -> str:
        """Return the message of a commit. Raises UserError if there is no such commit."""
        return self._git.read_commit(sha).message

    def parent(self, sha: str) -> str:
        """Return the first parent of a commit, or the commit itself if it has none."""
        return next(iter(self._git.read_commit(sha).parents), sha)

    def is_ancestor(self, sha: str, of: str) -> bool:
        """Return whether a commit is another one, or in its history."""
        return self._git.is_ancestor(sha, of)

    def diff(self, a: str, b: str) -> str:
        return self._git.output("diff-tree", "-p", a, b, "--", *self._edited.specs).decode(errors="replace")

    # --- references

    def best(self, tag: str) -> str | None:
        return self._git.commit_of(f"refs/autoresearch/{tag}/best")

    def branch(self, tag: str) -> str | None:
        return self._git.commit_of(f"refs/heads/autoresearch/{tag}")

    def last_branch(self, tag: str) -> str | None:
        """Return the last position of the branch that this program set."""
        return self._git.commit_of(f"refs/autoresearch/{tag}/branch")

    def ref(self, tag: str, n: int) -> str | None:
        return self._git.commit_of(f"refs/autoresearch/{tag}/{n}")

    def refs(self, tag: str) -> dict[int, str]:
        """Return the commits of all experiments of a session by number."""
        prefix = f"refs/autoresearch/{tag}/"
        lines = self._git.line("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        found = (line.removeprefix(prefix).split(" ") for line in lines)
        return dict(sorted((int(name), sha) for name, sha in found if name.isdecimal()))

    def tags(self) -> list[str]:
        names = self._git.line("for-each-ref", "--format=%(refname:lstrip=2)", "refs/autoresearch/").splitlines()
        return sorted({name.rpartition("/")[0] for name in names})

    def branch_names(self) -> set[str]:
        """Return the tags that branches take: of a branch below autoresearch/TAG, too."""
        names = self._git.line("for-each-ref", "--format=%(refname:lstrip=3)", "refs/heads/autoresearch/").splitlines()
        return {name.partition("/")[0] for name in names}

    def other_worktrees(self) -> list[Path]:
        """Return the other working trees of the repository: they share its references, but not `runs/`."""
        lines = self._git.line("worktree", "list", "--porcelain").splitlines()
        found = [Path(line.removeprefix("worktree ")) for line in lines if line.startswith("worktree ")]
        return [path for path in found if path.resolve() != self._git.top]

    # --- steps of the loop: all of them idempotent

    def check_tag(self, tag: str) -> None:
        """Raise UsageError for an invalid tag, UserError if a branch `autoresearch` exists."""
        name = f"refs/heads/autoresearch/{tag}"
        if not TAG.fullmatch(tag) or self._git.run("check-ref-format", name, accept=range(2))[0]:
            raise UsageError(f"`{tag}` cannot be a tag: use letters, digits, dots, dashes and underscores")
        if tag in RESERVED:
            raise UsageError(f"`{tag}` cannot be a tag: runs/{tag} is not a session's folder")
        if self._git.commit_of("refs/heads/autoresearch") is not None:
            raise UserError("branch `autoresearch` is in the way: `git branch -m autoresearch OTHERNAME`")

    def check_branch(self, tag: str, base: str) -> None:
        """Raise UserError if the branch of a new session exists, and is not at its base."""
        if self.branch(tag) not in (None, base):
            words = f"branch autoresearch/{tag} exists already, with commits that are not of a session"
            raise UserError(f"{words}: `git branch -m autoresearch/{tag} OTHERNAME`, or choose another --tag")

    def start(self, tag: str, sha: str, text: str | None = None) -> str:
        """Start a session at commit `sha` and return the commit of experiment 0.

        That is `sha` itself, or a commit on it if `text` differs from the file there. Raises UsageError for a
        bad tag, UserError if the branch or references of the tag belong to something else.
        """
        self.check_tag(tag)
        if (base := self.ref(tag, 0)) is not None:
            if not self._is_base(base, sha, text):
                raise UserError(f"refs/autoresearch/{tag} belongs to another base: choose another --tag")
            return base
        base = sha if text is None or text == self.read(sha) else self.write(sha, text, base_message(tag))
        self.check_branch(tag, base)
        if self.best(tag) is not None:
            raise UserError(f"refs/autoresearch/{tag}/best exists without a base: choose another --tag")
        refs = f"refs/autoresearch/{tag}"
        names = [f"{refs}/0", f"{refs}/best", f"{refs}/branch"]
        names += [f"refs/heads/autoresearch/{tag}"] if self.branch(tag) is None else []
        self._git.move(dict.fromkeys(names, (base, None)))
        return base

    def commit(self, tag: str, n: int, text: str, parent: str, message: str) -> str:
        """Store the text as experiment n, derived from commit `parent`, and return its commit.

        Raises UserError if experiment n exists with another text or parent.
        """
        if (existing := self.ref(tag, n)) is not None:
            if self._git.read_commit(existing).parents != [parent] or self.blob(existing) != blob_hash(text, existing):
                raise UserError(f"refs/autoresearch/{tag}/{n} holds another experiment: choose another --tag")
            return existing
        sha = self.write(parent, text, message)
        self._git.move({f"refs/autoresearch/{tag}/{n}": (sha, None)})
        return sha

    def keep(self, tag: str, n: int, sha: str, message: str, replaces: str | None = None) -> str:
        """Make commit `sha`, with a new message, experiment n and the incumbent; return it.

        The branch moves along unless the user has moved it or it is checked out somewhere. Raises GitError if `best`
        is not in the history of the version that this one `replaces`: it may be a better one.
        """
        version, best = self._git.read_commit(sha), self.best(tag)
        if best is None:
            raise GitError(f"refs/autoresearch/{tag}/best is missing: put it back or choose another --tag")
        wanted = Commit(version.tree, version.parents, _clean_message(message))
        refs = f"refs/autoresearch/{tag}"
        found = self._git.read_commit(best)
        if (found.tree, found.parents) == (wanted.tree, wanted.parents):  # it was killed after the transaction
            if self.ref(tag, n) != best:  # power was lost between two references of the transaction
                self._git.move({f"{refs}/{n}": (best, self.ref(tag, n))})
            self.advance_branch(tag)
            return best
        if replaces is not None and not self.is_ancestor(best, replaces):
            raise GitError(f"{refs}/best is at {best[:7]}, which is no version before experiment {n}: {_REPAIR}")
        kept = self._git.write_commit(wanted)
        moves = {f"{refs}/{n}": (kept, self.ref(tag, n)), f"{refs}/best": (kept, best)}
        self._git.move(moves | self._branch_moves(tag, kept))
        return kept

    def fall_back(self, tag: str, sha: str) -> None:
        """Make an earlier version the incumbent again, with the branch as for a keep."""
        best = self.best(tag)
        if best != sha:
            self._git.move({f"refs/autoresearch/{tag}/best": (sha, best)} | self._branch_moves(tag, sha))

    def advance_branch(self, tag: str) -> bool:
        """Move the branch to `best` if it may move, and return True if it is there."""
        if (best := self.best(tag)) is None:  # deleted by another program: the next run restores it
            return False
        if self.branch(tag) != best:
            self._git.move(self._branch_moves(tag, best))
        return self.branch(tag) == best

    def restore(self, tag: str, name: str, sha: str, only_missing: bool = False) -> bool:
        """Set a reference of a session back to a commit; False if git has no such commit."""
        ref = f"refs/autoresearch/{tag}/{name}"
        current = self._git.commit_of(ref)
        if self._git.commit_of(sha) is None:
            return False
        if current is None or not only_missing:
            self._git.move({ref: (sha, current)})
        return True

    def restore_branch(self, tag: str, sha: str) -> None:
        """Set the branch of a session to a commit if it is gone."""
        if self.branch(tag) is None:
            last = f"refs/autoresearch/{tag}/branch"
            moves = {last: (sha, self._git.commit_of(last)), f"refs/heads/autoresearch/{tag}": (sha, None)}
            self._git.move(moves)

    def remove(self, tag: str) -> bool:
        """Delete the references of a session, and its branch; False: the branch is the user's now, and stays."""
        prefix, branch = f"refs/autoresearch/{tag}/", f"refs/heads/autoresearch/{tag}"
        names = self._git.line("for-each-ref", "--format=%(refname) %(objectname)", prefix).splitlines()
        is_ours = self._follows(tag)
        names += [f"{branch} {self.branch(tag)}"] if is_ours else []
        self._git.output("update-ref", "--stdin", stdin="".join(f"delete {name}\n" for name in names).encode())
        return is_ours or self.branch(tag) is None

    # --- for the user, outside of the loop

    def write(self, parent: str, text: str, message: str) -> str:
        """Commit the tree of `parent` with another version in it; no reference names it yet."""
        entries, files = self._edited.entries(parent), self._edited.split(text)
        changes = [f"0 {'0' * len(parent)}\t{path}\0" for path in entries.keys() - files.keys()]
        for path, content in files.items():
            entry = entries.get(path, Entry(NEW_MODE, ""))
            if entry.sha != blob_hash(content, parent):
                changes.append(f"{entry.mode} {self._store(content)}\t{path}\0")
        with tempfile.TemporaryDirectory() as folder:
            index = Path(folder, "index")
            self._git.run("read-tree", parent, index=index)
            self._git.run("update-index", "-z", "--index-info", stdin="".join(changes).encode(), index=index)
            tree = self._git.line("write-tree", index=index)
        return self._git.write_commit(Commit(tree, [parent], _clean_message(message)))

    def export(self, sha: str, folder: Path) -> None:
        """Write all files of a commit into a folder, as they are in git."""
        write_entries(self._git, all_entries(self._git, sha), folder)

    def edited(self, sha: str) -> list[str]:
        """Return the paths of the files of a commit that may be edited."""
        return [*self._edited.entries(sha)]

    def locked(self, sha: str) -> dict[str, str]:
        """Return mode and hash of the files of a commit that may not be edited, by path."""
        edited = self._edited.entries(sha)
        entries = all_entries(self._git, sha).items()
        return {path: f"{entry.mode} {entry.sha}" for path, entry in entries if path not in edited}

    def lfs_files(self) -> list[str]:
        """Return the files of the last commit of which git has pointers only, and the working tree the contents."""
        paths = "".join(f"{path}\0" for path in all_entries(self._git, "HEAD"))
        found = self._git.line("check-attr", "-z", "--stdin", "filter", stdin=paths.encode(errors="surrogateescape"))
        fields = found.split("\0")
        filtered = [path for path, value in zip(fields[::3], fields[2::3], strict=False) if value == "lfs"]
        return [path for path in filtered if _has_content(self._git.top / path)]

    def set_branch(self, name: str, sha: str, force: bool = False) -> None:
        """Create or replace a branch of the user's at commit `sha`.

        Raises UsageError for a name that git refuses or that belongs to a session, UserError if the branch exists
        (without `force`) or is checked out.
        """
        ref = f"refs/heads/{name}"
        if name.startswith("-") or name == "HEAD" or self._git.run("check-ref-format", ref, accept=range(2))[0]:
            raise UsageError(f"`{name}` cannot be the name of a branch")
        if name.startswith("autoresearch/"):
            raise UsageError(f"branches under autoresearch/ belong to sessions: choose another name than {name}")
        current = self._git.commit_of(ref)
        if current is not None and not force:
            raise UserError(f"branch {name} exists already: choose another name, or --force to replace it")
        if self._is_checked_out(ref):
            raise UserError(f"branch {name} is checked out: `git switch` to another one first")
        self._git.move({ref: (sha, current)})

    def _is_base(self, base: str, sha: str, text: str | None) -> bool:
        same = base == sha or self._git.read_commit(base).parents == [sha]
        return same and (text is None or self.blob(base) == blob_hash(text, base))

    def _branch_moves(self, tag: str, sha: str) -> dict[str, tuple[str, str | None]]:
        """Return the moves of the branch to `sha`: none if the user has moved it or works on it."""
        if not self._follows(tag):
            return {}
        names = f"refs/autoresearch/{tag}/branch", f"refs/heads/autoresearch/{tag}"
        return dict.fromkeys(names, (sha, self.branch(tag)))

    def _follows(self, tag: str) -> bool:
        """Return whether the branch is where this program set it, and nobody works on it."""
        now, name = self.branch(tag), f"refs/heads/autoresearch/{tag}"
        if now is None or now != self.last_branch(tag):
            return False
        symbolic = self._git.run("symbolic-ref", "--quiet", name, accept=range(2))[0] == 0
        return not (symbolic or self._is_checked_out(name))

    def _is_checked_out(self, ref: str) -> bool:
        return f"branch {ref}" in self._git.line("worktree", "list", "--porcelain").splitlines()

    def _store(self, text: str) -> str:
        return self._git.line("hash-object", "-w", "--stdin", stdin=encode(text))


def base_message(tag: str) -> str:
    """Return the commit message of a base that is not the user's own commit."""
    return f"Base of {tag}\n"


def is_base_message(message: str) -> bool:
    return _BASE_MESSAGE.fullmatch(message) is not None


def _has_content(path: Path) -> bool:
    """Return whether a file of git LFS is there, and is no pointer."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_LFS_POINTER)) != _LFS_POINTER


def _clean_message(message: str) -> str:
    return message.replace("\0", "").rstrip("\n") + "\n"
