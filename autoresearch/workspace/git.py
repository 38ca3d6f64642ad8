"""Run git on one repository, isolated from the user's settings, index and checkout."""

import hashlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.errors import Blocker, UserError

if TYPE_CHECKING:
    from git import Repo

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
COMMIT_ALL = "git add -A && git commit -m start"  # advice, where several files measure
OPTIONS = [word for setting in SETTINGS for word in ("-c", setting)]
IDENTITY = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "autoresearch"), ("EMAIL", "autoresearch@localhost"))
}


class GitError(UserError):
    """A git command failed."""


@dataclass(frozen=True)
class Commit:
    """A commit without its author and dates."""

    tree: str
    parents: list[str]
    message: str


class GitCommands:
    """Run git in the repository around `folder`. Raises Blocker if it finds none with files."""

    def __init__(self, folder: Path) -> None:
        with open_repository(folder) as repo:
            self.top = _working_tree(repo, folder).resolve()
            self.environment = _environment(self.top, Path(repo.git_dir).resolve())
            _check_owner(repo)

    def run(
        self, verb: str, *args: str, stdin: bytes = b"", index: Path | None = None, accept: range = range(1)
    ) -> tuple[int, bytes]:
        """Return exit status and output of `git verb args`. Raises GitError for other statuses."""
        env = self.environment | _dates() | ({"GIT_INDEX_FILE": str(index)} if index is not None else {})
        with open_repository(self.top) as repo, tempfile.TemporaryFile() as file:
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
                start_new_session=True,  # Ctrl-C must not interrupt git in the middle of a write
            )
        if status not in accept:
            raise GitError(f"git {verb} failed: {_error_line(err) or f'exit status {status}'}")
        return status, out

    def output(self, verb: str, *args: str, stdin: bytes = b"", index: Path | None = None) -> bytes:
        return self.run(verb, *args, stdin=stdin, index=index)[1]

    def line(self, verb: str, *args: str, stdin: bytes = b"", index: Path | None = None) -> str:
        """Return the output of `git verb args` as text, without the newline at its end; a path may be no UTF-8."""
        return self.output(verb, *args, stdin=stdin, index=index).decode(errors="surrogateescape").removesuffix("\n")

    def read_blobs(self, hashes: Sequence[str]) -> list[bytes]:
        """Return the contents of blobs that exist."""
        out = memoryview(self.output("cat-file", "--batch", stdin="".join(f"{each}\n" for each in hashes).encode()))
        contents = []
        for _ in hashes:
            head = bytes(out[: bytes(out[:200]).index(b"\n")])
            start, size = len(head) + 1, int(head.split()[-1])
            contents.append(bytes(out[start : start + size]))
            out = out[start + size + 1 :]
        return contents

    # --- commits and references

    def commit_of(self, name: str) -> str | None:
        """Resolve a reference or a hash to a commit; None if there is no such commit."""
        status, out = self.run("rev-parse", "--quiet", "--verify", f"{name}^{{commit}}", accept=range(2))
        return out.decode().strip() if status == 0 else None

    def is_ancestor(self, sha: str, of: str) -> bool:
        """Return whether a commit is another one, or in its history."""
        return self.run("merge-base", "--is-ancestor", sha, of, accept=range(2))[0] == 0

    def read_commit(self, sha: str) -> Commit:
        head, _, message = self.output("cat-file", "commit", sha).decode(errors="replace").partition("\n\n")
        headers = [line.partition(" ") for line in head.split("\n")]
        parents = [value for name, _, value in headers if name == "parent"]
        return Commit(next(value for name, _, value in headers if name == "tree"), parents, message)

    def write_commit(self, commit: Commit) -> str:
        """Store a commit, dated now, and return its hash."""
        parents = [word for parent in commit.parents for word in ("-p", parent)]
        return self.line("commit-tree", commit.tree, *parents, "-F", "-", stdin=encode(commit.message))

    def move(self, moves: Mapping[str, tuple[str, str | None]]) -> None:
        """Set references to (new, old) in one transaction; old None: the reference must not exist."""
        lines = (
            f"create {name} {new}\n" if old is None else f"update {name} {new} {old}\n"
            for name, (new, old) in moves.items()
        )
        self.run("update-ref", "-m", "autoresearch", "--stdin", stdin="".join(lines).encode())


def encode(text: str) -> bytes:
    """Encode as UTF-8; lone surrogates, which a model can write, become question marks."""
    return text.encode(errors="replace")


def blob_hash(text: str, like: str) -> str:
    """Return git's hash of a text, of the same kind as the hash `like` (SHA-1 or SHA-256)."""
    content = encode(text)
    kind = hashlib.sha256 if len(like) == 64 else hashlib.sha1
    return kind(b"blob %d\0" % len(content) + content).hexdigest()


def open_repository(folder: Path) -> "Repo":
    """Open the repository around a folder with GitPython. Raises Blocker if there is none."""
    if (found := _find_repository(folder)) is None:
        if (folder / "train.py").exists():
            raise Blocker(f"{folder} is not in a git repository: `autoresearch init` makes one")
        if (folder / "autoresearch.yaml").exists():
            raise Blocker(f"{folder} is not in a git repository: `git init && {COMMIT_ALL}`")
        raise Blocker(no_file("train.py"))
    return found


def is_in_repository(folder: Path) -> bool:
    """Return whether there is a repository around a folder; it may be bare. Raises Blocker for a broken one."""
    if (found := _find_repository(folder)) is not None:
        found.close()
    return found is not None


def create_repository(folder: Path) -> None:
    """Make a folder a git repository, wherever variables such as GIT_DIR point to. Raises Blocker, GitError."""
    _require_git()
    from git import Git

    folder = folder.resolve()
    command = [Git.GIT_PYTHON_GIT_EXECUTABLE, "init", "--quiet", str(folder)]
    environment = _environment(folder, folder / ".git")
    status, _, err = Git(folder).execute(command, env=environment, with_extended_output=True, with_exceptions=False)
    if status:
        raise GitError(f"git init failed: {_error_line(str(err)) or f'exit status {status}'}")


def no_file(name: str) -> str:
    """Return the line for a folder without the file that a session improves."""
    return f"no {name} here: cd to your project, or `autoresearch init`"


def _require_git() -> None:
    """Raise Blocker where git is not installed: GitPython cannot be imported there."""
    try:
        import git  # noqa: F401
    except ImportError:
        raise Blocker("git is not installed: install it, for example `apt install git`") from None


def _find_repository(folder: Path) -> "Repo | None":
    _require_git()
    import git

    try:
        return git.Repo(folder, search_parent_directories=True, expand_vars=False)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        if (folder / ".git").exists():
            raise Blocker(f"{folder}/.git is not a git repository: mend it, or move it away") from None
        return None


def top_folder(folder: Path) -> Path:
    """Return the top of the repository around a folder. Raises Blocker if it has no files."""
    if (found := _plain_top(folder)) is not None:
        return found
    with open_repository(folder) as repo:
        return _working_tree(repo, folder)


def _working_tree(repo: "Repo", folder: Path) -> Path:
    if repo.working_tree_dir is None:
        raise Blocker(f"{folder} is a bare git repository: use a clone with files in it")
    return Path(repo.working_tree_dir)


def _plain_top(folder: Path) -> Path | None:
    """Find the top folder of a plain clone; None: ask GitPython, whose import takes 0.1 s."""
    for each in (folder, *folder.parents):
        inside = each / ".git"
        if (each / "HEAD").exists():  # perhaps a bare repository
            return None
        if inside.exists():
            return each if all((inside / name).exists() for name in ("HEAD", "objects", "refs")) else None
    return None


def _environment(top: Path, folder: Path) -> dict[str, str]:
    """Return all variables that could redirect git, set for this repository."""
    link = folder / "commondir"  # exists in a linked worktree
    common = (
        (folder / link.read_bytes().decode(errors="surrogateescape").strip()).resolve() if link.exists() else folder
    )
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


def _dates() -> dict[str, str]:
    now = f"{int(time.time())} {time.strftime('%z')}"
    return {"GIT_AUTHOR_DATE": now, "GIT_COMMITTER_DATE": now}


def _check_owner(repo: "Repo") -> None:
    """Raise Blocker if git distrusts the owner; with GIT_DIR set, git does not check."""
    status, _, err = repo.git.rev_parse("--git-dir", with_extended_output=True, with_exceptions=False)
    if status and "dubious ownership" in err:
        trust = f"`git config --global --add safe.directory {repo.working_tree_dir}`"
        raise Blocker(f"{repo.working_tree_dir} belongs to another user: if you trust it, {trust}")


def _error_line(err: str) -> str:
    """Return the first line of git's errors, else the first of its output on stderr."""
    lines = [line.strip() for line in err.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith(("fatal:", "error:"))]
    return (errors or lines or [""])[0]
