import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from autoresearch.errors import Blocker, UsageError, UserError
from autoresearch.workspace.texts import merge_texts
from autoresearch.workspace.workspace import Workspace

BASE = "RATE = 1\nA = 1\nB = 2\nC = 3\nWIDTH = 8\n"
BETTER = BASE.replace("RATE = 1", "RATE = 2")
WORSE = BASE.replace("WIDTH = 8", "WIDTH = 9")


class Repo:
    """A user's repository, read with plain git."""

    def __init__(self, root: Path) -> None:
        self.root = root
        if not root.exists():
            root.mkdir()
            self("init", "-q", "-b", "main", "--template=")

    def __call__(self, *args: str) -> str:
        env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        env |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        done = subprocess.run(
            ["git", "-c", "user.name=user", "-c", "user.email=user@example.com", *args],
            cwd=self.root,
            env=env,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str | bytes]) -> str:
        for name, content in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            self("add", name)
        self("commit", "-q", "-m", "user's commit")
        return self("rev-parse", "HEAD")

    def user_state(self) -> tuple[str, ...]:
        """Return everything that must not change: HEAD, its reflog, the index, the working tree."""
        folder = self.root / self("rev-parse", "--absolute-git-dir")
        files = [folder / "HEAD", folder / "index", folder / "logs/HEAD"]
        files += [path for path in sorted(self.root.rglob("*")) if path.is_file() and ".git" not in path.parts]
        facts = [f"{path} {hashlib.sha256(path.read_bytes()).hexdigest()}" for path in files if path.exists()]
        env = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
        status = ["git", "status", "--porcelain", "--branch"]
        shown = subprocess.run(status, cwd=self.root, env=env, capture_output=True, text=True).stdout
        return (*facts, self("rev-parse", "HEAD"), shown)

    def branch_follows(self) -> bool:
        """Return True if the branch of session `t` is at `best` and not checked out."""
        best = self("for-each-ref", "--format=%(objectname)", "refs/autoresearch/t/best")
        branch = self("for-each-ref", "--format=%(objectname) %(worktreepath)", "refs/heads/autoresearch/t")
        return best != "" and branch == best


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    repo = Repo(tmp_path_factory.mktemp("git") / "template")
    repo.commit({"train.py": BASE, "other.txt": "other\n"})
    return repo.root


@pytest.fixture
def repo(tmp_path, template, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))  # a machine without a git identity
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    shutil.copytree(template, tmp_path / "repo")
    return Repo(tmp_path / "repo")


def make_versions(workspace: Workspace, tag: str = "t") -> tuple[str, str, str]:
    """Make a base, a keep and a discard; return their commits."""
    base = workspace.start(tag, workspace.head())
    candidate = workspace.commit(tag, 1, BETTER, base, "rate 2")
    kept = workspace.keep(tag, 1, candidate, "größer\n\nVal-Bpb: 1.5\nExperiment: 1\n")
    dropped = workspace.commit(tag, 2, WORSE, kept, "width 9")
    return base, kept, dropped


def test_a_session_leaves_a_tree_of_commits(repo):
    workspace = Workspace(repo.root)
    base, kept, dropped = make_versions(workspace)
    assert base == repo("rev-parse", "HEAD")
    assert workspace.refs("t") == {0: base, 1: kept, 2: dropped}
    assert workspace.best("t") == kept == repo("rev-parse", "autoresearch/t")
    assert repo.branch_follows()
    assert [workspace.read(sha) for sha in (base, kept, dropped)] == [BASE, BETTER, WORSE]
    assert repo("log", "--format=%H", "autoresearch/t").split() == [kept, base]
    assert repo("rev-parse", f"{dropped}^") == kept
    assert repo("diff", "--name-only", base, kept) == "train.py"
    assert repo("log", "-1", "--format=%an %ae %cn", kept) == "autoresearch autoresearch@localhost autoresearch"
    assert repo("log", "-1", "--format=%(trailers:key=Val-Bpb,valueonly)", kept) == "1.5"
    assert repo("fsck", "--strict", "--no-dangling") == ""


def test_unknown_references_are_none(repo):
    workspace = Workspace(repo.root)
    assert workspace.best("t") is workspace.ref("t", 3) is None
    assert workspace.refs("t") == {}
    assert not repo.branch_follows()


def test_diff_looks_at_the_file_only(repo):
    workspace = Workspace(repo.root)
    base, kept, _ = make_versions(workspace)
    assert "-RATE = 1\n+RATE = 2\n" in workspace.diff(base, kept)
    assert repo("diff", "--numstat", base, kept) == "1\t1\ttrain.py"
    later = repo.commit({"other.txt": "new\n"})
    assert workspace.diff(base, later) == ""


def test_a_base_fitted_to_the_machine_is_a_commit_on_head(repo):
    workspace = Workspace(repo.root)
    head = workspace.head()
    base = workspace.start("t", head, WORSE)
    assert base != head and workspace.read(base) == WORSE
    assert repo("rev-parse", f"{base}^") == head
    assert workspace.start("t", head, WORSE) == base == workspace.best("t") == workspace.ref("t", 0)
    with pytest.raises(UserError, match="another base"):
        workspace.start("t", head, BETTER)


def test_every_step_can_be_taken_again(repo):
    workspace = Workspace(repo.root)
    base = workspace.start("t", workspace.head())
    candidate = workspace.commit("t", 1, BETTER, base, "rate 2")
    assert workspace.commit("t", 1, BETTER, base, "rate 2") == candidate
    kept = workspace.keep("t", 1, candidate, "kept\n\nDelta: -1\n")
    assert workspace.keep("t", 1, candidate, "kept\n\nDelta: -1\n") == kept
    assert workspace.keep("t", 1, kept, "kept\n\nDelta: -1\n") == kept
    assert workspace.commit("t", 1, BETTER, base, "rate 2") == kept
    assert workspace.start("t", base) == base
    assert workspace.best("t") == kept


def test_nothing_is_overwritten_by_another_experiment(repo):
    workspace = Workspace(repo.root)
    base, kept, _ = make_versions(workspace)
    with pytest.raises(UserError, match="another experiment"):
        workspace.commit("t", 2, BETTER, kept, "else")
    with pytest.raises(UserError, match="another experiment"):
        workspace.commit("t", 2, WORSE, base, "else")
    later = repo.commit({"train.py": WORSE})
    with pytest.raises(UserError, match="another base"):
        workspace.start("t", later)


# --- the user's checkout


def make_dirty(repo):
    (repo.root / "train.py").write_text("dirty = 1\n")
    (repo.root / "other.txt").write_text("staged\n")
    repo("add", "other.txt")
    (repo.root / "new.txt").write_text("untracked\n")


def detach(repo):
    repo("switch", "-q", "--detach")


def on_a_branch(repo):
    repo("switch", "-q", "-c", "feature/x")


def with_hooks(repo):
    for name in ("pre-commit", "post-commit", "reference-transaction", "post-index-change", "commit-msg"):
        hook = repo.root / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text("#!/bin/sh\necho ran >> hook-ran.txt\nexit 1\n")
        hook.chmod(0o755)


def with_settings(repo):
    for name, value in {
        "commit.gpgSign": "true",
        "gpg.program": "/bin/false",
        "core.autocrlf": "true",
        "core.splitIndex": "true",
        "core.logAllRefUpdates": "always",
        "core.fsmonitor": "/bin/false",
        "core.commentChar": "R",
        "diff.external": "/bin/false",
        "diff.noprefix": "true",
        "color.ui": "always",
        "i18n.commitEncoding": "latin1",
        "user.useConfigOnly": "true",
    }.items():
        repo("config", name, value)


def with_files_like_references(repo):
    repo.commit({"HEAD": "x\n", "best": "x\n", "refs/autoresearch/t/1": "x\n", "autoresearch/t": "x\n"})


def with_a_latin1_commit(repo):
    (repo.root / "message").write_bytes(b"h\xe9\n")
    repo("-c", "i18n.commitEncoding=latin1", "commit", "-q", "--allow-empty", "-F", "message")


@pytest.mark.parametrize(
    "arrange",
    [
        make_dirty,
        detach,
        on_a_branch,
        with_hooks,
        with_settings,
        with_files_like_references,
        with_a_latin1_commit,
    ],
)
def test_the_users_checkout_is_never_touched(repo, arrange):
    arrange(repo)
    before = repo.user_state()
    workspace = Workspace(repo.root)
    base, kept, dropped = make_versions(workspace)
    assert workspace.user_files.are_dirty() == (arrange is make_dirty)
    assert "+RATE = 2" in workspace.diff(base, kept)
    assert repo.user_state() == before
    assert repo("-c", "i18n.logOutputEncoding=utf-8", "log", "-1", "--format=%s", kept) == "größer"
    assert workspace.refs("t") == {0: base, 1: kept, 2: dropped}
    assert [workspace.read(sha) for sha in (base, kept, dropped)] == [BASE, BETTER, WORSE]
    assert not (repo.root / "hook-ran.txt").exists()
    assert not list((repo.root / ".git").glob("sharedindex*"))


def test_gits_environment_of_the_caller_does_not_matter(repo, tmp_path, monkeypatch):
    other = Repo(tmp_path / "other")
    other.commit({"train.py": "other = 1\n"})
    before = repo.user_state(), other.user_state()
    hostile = {
        "GIT_DIR": str(other.root / ".git"),
        "GIT_COMMON_DIR": str(other.root / ".git"),
        "GIT_WORK_TREE": str(other.root),
        "GIT_INDEX_FILE": str(tmp_path / "nowhere/index"),
        "GIT_OBJECT_DIRECTORY": str(other.root / ".git/objects"),
        "GIT_NAMESPACE": "elsewhere",
        "GIT_LITERAL_PATHSPECS": "1",
        "GIT_EXTERNAL_DIFF": "/bin/false",
        "GIT_AUTHOR_NAME": "someone",
        "GIT_AUTHOR_DATE": "not a date",
    }
    for name, value in hostile.items():
        monkeypatch.setenv(name, value)
    workspace = Workspace(repo.root)
    base, kept, dropped = make_versions(workspace)
    assert not workspace.user_files.are_dirty()
    assert "+RATE = 2" in workspace.diff(base, kept)
    for name in hostile:
        monkeypatch.delenv(name)
    assert workspace.refs("t") == {0: base, 1: kept, 2: dropped}
    assert repo("log", "-1", "--format=%an", kept) == "autoresearch"
    assert (repo.user_state(), other.user_state()) == before
    assert other("for-each-ref", "refs/autoresearch") == ""


def test_a_linked_worktree_works_like_the_main_one(repo, tmp_path):
    repo("worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    before = repo.user_state()
    workspace = Workspace(tmp_path / "linked")
    _, kept, _ = make_versions(workspace)
    (tmp_path / "linked/train.py").write_text("dirty\n")
    assert workspace.user_files.are_dirty()
    assert not Workspace(repo.root).user_files.are_dirty()
    assert Workspace(repo.root).best("t") == kept
    assert repo.user_state() == before


def test_the_file_may_lie_deeper(repo):
    head = repo.commit({"sub dir/é/train.py": BASE, "sub dir/é/x.py": "x\n"})
    places = {"a": (repo.root, "sub dir/é/train.py"), "b": (repo.root / "sub dir", "é/train.py")}
    for tag, place in places.items():
        workspace = Workspace(*place)
        base, kept, _ = make_versions(workspace, tag)
        assert base == head
        assert repo("-c", "core.quotePath=false", "diff", "--name-only", base, kept) == "sub dir/é/train.py"
        assert repo("diff", "--numstat", base, kept).startswith("1\t1\t")
        assert "\n+++ b/sub dir/é/train.py" in workspace.diff(base, kept)
        (repo.root / "sub dir/é/train.py").write_text("dirty")
        assert workspace.user_files.are_dirty()
        (repo.root / "sub dir/é/train.py").write_text(BASE)


def test_dirty_sees_the_index_and_a_missing_file(repo):
    workspace = Workspace(repo.root)
    (repo.root / "train.py").touch()
    assert not workspace.user_files.are_dirty()
    (repo.root / "train.py").write_text(WORSE)
    repo("add", "train.py")
    assert workspace.user_files.are_dirty()
    (repo.root / "train.py").write_text(BASE)
    assert workspace.user_files.are_dirty()
    repo("add", "train.py")
    (repo.root / "train.py").unlink()
    assert workspace.user_files.are_dirty()


@pytest.mark.parametrize(
    "text",
    ["", "no newline", "\n\n\n", "crlf\r\nmixed\n\r\n", "\ufeffbom = 'é'\n", "x" * 70_000, "nul\0\n"],
    ids=["empty", "no newline", "newlines", "crlf", "bom", "long", "nul"],
)
def test_texts_survive_to_the_byte(repo, text):
    workspace = Workspace(repo.root)
    base = workspace.start("t", workspace.head())
    sha = workspace.commit("t", 1, text, base, "text")
    assert workspace.read(sha) == text
    assert workspace.commit("t", 1, text, base, "text") == sha
    assert repo("rev-parse", f"{sha}:train.py") == workspace.blob(sha)


def test_what_has_no_utf8_does_not_stop_the_night(repo):
    workspace = Workspace(repo.root)
    base = workspace.start("t", workspace.head())
    sha = workspace.commit("t", 1, "x = '\udc80'\n", base, "half a pair \ud800, a nul \0, no newline")
    assert workspace.commit("t", 1, "x = '\udc80'\n", base, "half") == sha
    assert "no newline" in repo("log", "-1", "--format=%s", sha)
    assert workspace.commit("t", 2, WORSE, base, "") != sha
    odd = workspace.commit("t", 3, BETTER, base, "# not a comment\n\n\n-m x")
    assert repo("log", "-1", "--format=%B", odd) == "# not a comment\n\n\n-m x"


def test_a_file_monitor_is_not_run(repo):
    monitor = repo.root / ".git/monitor"
    monitor.write_text("#!/bin/sh\ntouch .git/monitor-ran\n")
    monitor.chmod(0o755)
    repo("config", "core.fsmonitor", ".git/monitor")
    assert not Workspace(repo.root).user_files.are_dirty()
    assert not (repo.root / ".git/monitor-ran").exists()


def test_the_files_mode_is_kept(repo):
    (repo.root / "train.py").chmod(0o755)
    repo("commit", "-aqm", "executable")
    _, kept, _ = make_versions(Workspace(repo.root))
    assert repo("ls-tree", kept, "train.py").startswith("100755")


# --- the branch


def test_a_branch_that_is_checked_out_is_left_and_catches_up_later(repo, tmp_path):
    workspace = Workspace(repo.root)
    base = workspace.start("t", workspace.head())
    repo("worktree", "add", "-q", str(tmp_path / "linked"), "autoresearch/t")
    assert not repo.branch_follows()
    kept = workspace.keep("t", 1, workspace.commit("t", 1, BETTER, base, "a"), "kept")
    assert workspace.best("t") == kept
    assert repo("rev-parse", "autoresearch/t") == base
    assert repo("-C", str(tmp_path / "linked"), "status", "--porcelain") == ""
    assert not repo.branch_follows()
    assert not workspace.advance_branch("t")
    repo("worktree", "remove", str(tmp_path / "linked"))
    assert workspace.advance_branch("t") and repo.branch_follows()
    assert repo("rev-parse", "autoresearch/t") == kept


def test_a_branch_that_the_user_is_on_is_left(repo):
    workspace = Workspace(repo.root)
    base = workspace.start("t", workspace.head())
    repo("switch", "-q", "autoresearch/t")
    before = repo.user_state()
    workspace.keep("t", 1, workspace.commit("t", 1, BETTER, base, "a"), "kept")
    assert repo.user_state() == before
    assert not repo.branch_follows()
    repo("switch", "-q", "main")
    second = workspace.keep("t", 2, workspace.commit("t", 2, WORSE, base, "b"), "kept again")
    assert repo("rev-parse", "autoresearch/t") == second == workspace.best("t")


def moved_back(repo, base):
    repo("branch", "-f", "autoresearch/t", base)


def deleted(repo, base):
    repo("branch", "-D", "autoresearch/t")


def made_symbolic(repo, base):
    repo("branch", "-D", "autoresearch/t")
    repo("branch", "mine", "refs/autoresearch/t/best")
    repo("symbolic-ref", "refs/heads/autoresearch/t", "refs/heads/mine")


@pytest.mark.parametrize("change", [moved_back, deleted, made_symbolic])
def test_a_branch_that_the_user_changed_is_the_users(repo, change):
    workspace = Workspace(repo.root)
    base, kept, _ = make_versions(workspace)
    change(repo, base)
    branches = repo("for-each-ref", "refs/heads")
    second = workspace.keep("t", 3, workspace.commit("t", 3, WORSE, kept, "c"), "kept")
    assert workspace.best("t") == second == workspace.ref("t", 3)
    assert repo("for-each-ref", "refs/heads") == branches
    assert not repo.branch_follows()
    assert workspace.start("t", base) == base


def test_packed_references_and_gc_change_nothing(repo):
    workspace = Workspace(repo.root)
    base, kept, dropped = make_versions(workspace)
    repo("gc", "-q", "--prune=now")
    assert workspace.refs("t") == {0: base, 1: kept, 2: dropped}
    assert workspace.read(dropped) == WORSE
    assert workspace.keep("t", 2, dropped, "kept too") == workspace.best("t")
    assert repo.branch_follows()


# --- merging


def test_merge_joins_two_changes():
    assert merge_texts(BASE, BETTER, WORSE) == (BETTER.replace("WIDTH = 8", "WIDTH = 9"), False)
    crlf = [text.replace("\n", "\r\n") for text in (BASE, BETTER, WORSE)]
    assert merge_texts(*crlf) == (BETTER.replace("WIDTH = 8", "WIDTH = 9").replace("\n", "\r\n"), False)


def test_merge_says_that_changes_conflict():
    text, conflicts = merge_texts(BASE, BETTER, BASE.replace("RATE = 1", "RATE = 3"))
    assert conflicts
    assert "<<<<<<< ours\nRATE = 2\n" in text and "RATE = 3\n>>>>>>> theirs\n" in text


# --- what a user can get wrong


@pytest.mark.parametrize(
    "tag", ["", "-x", ".x", "a/b", "a b", "a..b", "x.lock", "x.", "é", "a\n", "@{", "a" * 101, "backups"]
)
def test_a_bad_tag_is_refused(repo, tag):
    workspace = Workspace(repo.root)
    with pytest.raises(UsageError, match="cannot be a tag"):
        workspace.start(tag, workspace.head())


@pytest.mark.parametrize("tag", ["nov21", "0", "best", "a.b_c-D", "a" * 100])
def test_a_good_tag_is_taken(repo, tag):
    make_versions(Workspace(repo.root), tag)


def test_a_branch_of_that_name_is_in_the_way(repo):
    first = repo("rev-parse", "HEAD")
    head = repo.commit({"train.py": BETTER})
    workspace = Workspace(repo.root)
    repo("branch", "autoresearch/t", first)
    with pytest.raises(UserError, match="exists already"):
        workspace.start("t", head)
    assert workspace.refs("t") == {}
    repo("branch", "-f", "autoresearch/t", head)
    assert workspace.start("t", head) == head


def test_a_branch_called_autoresearch_is_in_the_way(repo):
    repo("branch", "autoresearch")
    workspace = Workspace(repo.root)
    with pytest.raises(UserError, match="git branch -m autoresearch"):
        workspace.start("t", workspace.head())


def test_no_repository(tmp_path):
    for folder in (tmp_path, tmp_path / "missing"):
        with pytest.raises(Blocker, match=r"no train\.py here: cd to your project, or `autoresearch init`"):
            Workspace(folder)
    (tmp_path / "train.py").write_text(BASE)
    with pytest.raises(Blocker, match="not in a git repository: `autoresearch init` makes one"):
        Workspace(tmp_path)


def test_no_commit_yet(tmp_path):
    root = Repo(tmp_path / "new").root
    with pytest.raises(Blocker, match=r"no train\.py here"):
        Workspace(root)
    (root / "train.py").write_text(BASE)
    with pytest.raises(Blocker, match="no commit yet"):
        Workspace(root)


def test_a_bare_repository(repo, tmp_path):
    repo("clone", "-q", "--bare", str(repo.root), str(tmp_path / "bare"))
    with pytest.raises(Blocker, match="bare"):
        Workspace(tmp_path / "bare")


def test_a_file_that_is_not_committed(repo):
    (repo.root / "mine.py").write_text("x\n")
    with pytest.raises(Blocker, match=r"git add mine\.py && git commit"):
        Workspace(repo.root, "mine.py")
    with pytest.raises(UsageError, match="outside"):
        Workspace(repo.root, "../train.py")


def test_a_link_or_folder_is_not_a_file(repo):
    (repo.root / "link.py").symlink_to("train.py")
    repo("add", "link.py")
    repo.commit({"folder/x": "x"})
    for name in ("link.py", "folder"):
        with pytest.raises(Blocker, match="commit the file itself"):
            Workspace(repo.root, name)


def test_a_text_that_is_not_utf8(repo):
    head = repo.commit({"train.py": b"x = '\xff'\n"})
    with pytest.raises(UserError, match="not UTF-8"):
        Workspace(repo.root).read(head)


def test_a_repository_of_another_user(repo, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(Blocker, match=r"safe\.directory"):
        Workspace(repo.root)


def test_failures_of_git_are_one_line_in_its_own_words(repo):
    workspace = Workspace(repo.root)
    base = workspace.start("t", workspace.head())
    with pytest.raises(UserError, match=r"^git \S+ failed: fatal: [^\n]+$"):
        workspace.commit("t", 1, BETTER, "0" * 40, "no such parent")
    with pytest.raises(UserError, match=r"has no train\.py"):
        workspace.blob(repo("commit-tree", "4b825dc642cb6eb9a060e54bf8d69288fbee4904", "-m", "empty"))
    assert workspace.refs("t") == {0: base}


def test_a_file_in_a_subfolder_is_named(repo):
    repo("mv", "train.py", "other.py")
    (repo.root / "exp").mkdir()
    repo.commit({"exp/train.py": BASE})
    with pytest.raises(Blocker, match=r"but exp/train\.py is: write `train: exp/train\.py` and"):
        Workspace(repo.root)
    Workspace(repo.root, "exp/train.py")


def test_a_keep_replaces_what_it_was_compared_with_and_nothing_else(repo):
    workspace = Workspace(repo.root)
    base = workspace.start("t", workspace.head())
    one = workspace.keep("t", 1, workspace.commit("t", 1, BETTER, base, "one"), "one", base)
    two = workspace.commit("t", 2, WORSE, base, "two")
    with pytest.raises(UserError, match=f"best is at {one[:7]}, which is no version before experiment 2"):
        workspace.keep("t", 2, two, "two", base)
    assert workspace.best("t") == workspace.branch("t") == one


def test_a_keep_is_not_written_twice_with_another_message(repo):
    """Killed after the transaction, it goes on with a program that words the message otherwise."""
    workspace = Workspace(repo.root)
    base = workspace.start("t", workspace.head())
    sha = workspace.commit("t", 1, BETTER, base, "one")
    kept = workspace.keep("t", 1, sha, "one", base)
    assert workspace.keep("t", 1, sha, "one, in other words", base) == kept == workspace.best("t")
