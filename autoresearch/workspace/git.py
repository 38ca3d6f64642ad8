"""Git on one repository, in a way that neither disturbs its user nor is disturbed by the user's settings."""

import hashlib
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoresearch.errors import Blocker, UserError

SETTINGS = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.splitIndex=false",
    "core.quotePath=false",
    "core.fsync=committed",  # objects reach the disk before the references that name them
    "core.filesRefLockTimeout=10000",  # ms that another git may hold a lock
    "core.packedRefsTimeout=10000",
    "commit.gpgSign=false",
    "i18n.commitEncoding=utf-8",
]
OPTIONS = [word for setting in SETTINGS for word in ("-c", setting)]
IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "autoresearch"), ("EMAIL", "autoresearch@localhost"))
}


class GitError(UserError):
    """Git failed at something that it can do."""


@dataclass(frozen=True)
class Commit:
    """A commit without its author and dates."""

    tree: str
    parents: list[str]
    message: str


class Plumbing:
    """Runs git in the repository around `folder`. Raises Blocker if there is none that it can work in."""

    def __init__(self, folder: Path) -> None:
        with repository(folder) as repo:
            if repo.working_tree_dir is None:
                raise Blocker(f"{folder} is a bare git repository: use a clone with files in it")
            self.top = Path(repo.working_tree_dir).resolve()
            self.environment = _environment(self.top, Path(repo.git_dir).resolve())
            _check_owner(repo)

    def run(
        self,
        verb: str,
        *args: str,
        stdin: bytes = b"",
        index: Path | None = None,
        accept: range = range(1),
    ) -> tuple[int, bytes]:
        """Exit status and output of `git verb args`. Raises GitError if the status is not in `accept`."""
        env = self.environment | _now() | ({"GIT_INDEX_FILE": str(index)} if index is not None else {})
        with repository(self.top) as repo, tempfile.TemporaryFile() as file:
            file.write(stdin)
            file.seek(0)
            status, out, err = repo.git.execute(
                [repo.git.GIT_PYTHON_GIT_EXECUTABLE, *OPTIONS, verb, *args],
                istream=file,
                env=env,
                with_extended_output=True,
                with_exceptions=False,
                stdout_as_string=False,
                strip_newline_in_stdout=False,
                start_new_session=True,  # Ctrl-C is for the program, not for git in the middle of a write
            )
        if status not in accept:
            raise GitError(f"git {verb} failed: {_reason(err) or f'exit status {status}'}")
        return status, out

    def bytes(self, verb: str, *args: str, **options: Any) -> bytes:
        """Standard output of `git verb args`, to the byte."""
        return self.run(verb, *args, **options)[1]

    def line(self, verb: str, *args: str, **options: Any) -> str:
        """Standard output of `git verb args` without the newline at its end."""
        return self.bytes(verb, *args, **options).decode().removesuffix("\n")

    # --- commits and references

    def commit_of(self, name: str) -> str | None:
        """The commit that a reference or a hash names."""
        status, out = self.run("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}", accept=range(2))
        return out.decode().strip() if status == 0 else None

    def read_commit(self, sha: str) -> Commit:
        """What a commit holds."""
        head, _, message = self.bytes("cat-file", "commit", sha).decode(errors="replace").partition("\n\n")
        headers = [line.partition(" ") for line in head.splitlines()]
        parents = [value for name, _, value in headers if name == "parent"]
        return Commit(next(value for name, _, value in headers if name == "tree"), parents, message)

    def write_commit(self, commit: Commit) -> str:
        """Store a commit, dated now; returns its hash."""
        parents = [word for parent in commit.parents for word in ("-p", parent)]
        return self.line("commit-tree", commit.tree, *parents, "-F", "-", stdin=encoded(commit.message))

    def move(self, moves: Mapping[str, tuple[str, str | None]]) -> None:
        """Set references to (new, old) in one transaction; old None: it must not exist."""
        lines = [
            f"create {name} {new}\n" if old is None else f"update {name} {new} {old}\n"
            for name, (new, old) in moves.items()
        ]
        stdin = "".join(lines).encode()
        self.run("update-ref", "-m", "autoresearch", "--stdin", stdin=stdin)


def encoded(text: str) -> bytes:
    """As UTF-8; half a surrogate pair, as a model can write it, has none."""
    return text.encode(errors="replace")


def blob(text: str, like: str) -> str:
    """The hash that git gives a text, of the same kind as the hash `like` (SHA-1 or SHA-256)."""
    content = encoded(text)
    kind = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    return kind(b"blob %d\0" % len(content) + content).hexdigest()


def repository(folder: Path) -> Any:
    """GitPython's view of the repository around a folder, to be closed. Raises Blocker if there is none."""
    try:
        import git  # here, for importing it fails where git is not installed
    except ImportError:
        raise Blocker("git is not installed: install it, for example `apt install git`") from None
    try:
        return git.Repo(folder, search_parent_directories=True, expand_vars=False)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        raise Blocker(
            f"{folder} is not in a git repository: `git init && git add . && git commit -m start` there first"
        ) from None


def top(folder: Path) -> Path:
    """The top folder of the repository around a folder. Raises Blocker where there is none with files in it."""
    if (found := _plain_top(folder)) is not None:
        return found
    with repository(folder) as repo:
        if repo.working_tree_dir is None:
            raise Blocker(f"{folder} is a bare git repository: use a clone with files in it")
        return Path(repo.working_tree_dir)


def _plain_top(folder: Path) -> Path | None:
    """The same for a plain clone, without GitPython: importing that takes a tenth of a second. None: ask it."""
    for each in (folder, *folder.parents):
        inside = each / ".git"
        if (each / "HEAD").exists():  # perhaps a bare repository
            return None
        if inside.exists():
            return each if all((inside / name).exists() for name in ("HEAD", "objects", "refs")) else None
    return None


def _environment(top: Path, folder: Path) -> dict[str, str]:
    """Everything by which the caller's environment could point git elsewhere, set to where it belongs."""
    link = folder / "commondir"  # in a linked worktree
    common = (folder / link.read_text().strip()).resolve() if link.exists() else folder
    return IDENTITY | {
        "GIT_DIR": str(folder),
        "GIT_COMMON_DIR": str(common),
        "GIT_WORK_TREE": str(top),
        "GIT_INDEX_FILE": str(folder / "index"),
        "GIT_OBJECT_DIRECTORY": str(common / "objects"),
        "GIT_ALTERNATE_OBJECT_DIRECTORIES": "",
        "GIT_LITERAL_PATHSPECS": "0",
        "GIT_OPTIONAL_LOCKS": "0",  # `status` must not write the index
    }


def _now() -> dict[str, str]:
    now = f"{int(time.time())} {time.strftime('%z')}"
    return {"GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now}


def _check_owner(repo: Any) -> None:
    """Ask once without naming the repository: git trusts one that is named, whoever owns it."""
    status, _, err = repo.git.rev_parse("--git-dir", with_extended_output=True, with_exceptions=False)
    if status and "dubious ownership" in err:
        raise Blocker(
            f"{repo.working_tree_dir} belongs to another user: if you trust it,"
            f" `git config --global --add safe.directory {repo.working_tree_dir}`"
        )


def _reason(err: str) -> str:
    """The line of git's complaint that says what is wrong."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (told or lines or [""])[0]
