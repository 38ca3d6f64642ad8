"""Versions of several files in git: what may change, what stays locked, and the user's own files."""

import os
from pathlib import Path

import pytest
from support.repositories import git

from autoresearch.errors import Blocker, UserError
from autoresearch.source_tree import EditRules, SourceTree
from autoresearch.workspace.initial_commit import InitialCommit
from autoresearch.workspace.workspace import Workspace

RULES = EditRules(("src/**/*.py", "run.sh", "prompts/*.md"), create=True)
FILES = {"src/deep/a.py": "A = 1\n", "run.sh": "#!/bin/sh\n", "prompts/p.md": "Hallo, Größe\n"}
LOCKED = {"bench.py": "print(1)\n", "src/data.txt": "x\n", "odd name\t.txt": "tab\n"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    for name, text in (FILES | LOCKED).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("bench.py")
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        git(folder, *command)
    return folder


def tree(root: Path, sha: str) -> dict[str, str]:
    """Mode and hash of all files of a commit."""
    lines = git(root, "ls-tree", "-r", "-z", sha).split("\0")
    return {line.partition("\t")[2]: line.partition("\t")[0] for line in lines if line}


def test_a_version_changes_its_files_and_keeps_everything_else(root: Path) -> None:
    workspace = Workspace(root, rules=RULES)
    base = workspace.start("t", workspace.head())
    assert dict(SourceTree.parse(workspace.read(base)).files) == FILES
    before = git(root, "status", "--porcelain"), git(root, "rev-parse", "HEAD"), (root / ".git/index").read_bytes()
    changed = {"src/deep/a.py": "A = 2\n", "run.sh": "#!/bin/sh\nexit\n", "prompts/p.md": FILES["prompts/p.md"]}
    text = SourceTree(changed | {"prompts/new.md": "New.\n"}).text
    sha = workspace.commit("t", 1, text, base, "a change")
    assert workspace.read(sha) == text
    assert workspace.commit("t", 1, text, base, "again") == sha
    with pytest.raises(UserError, match="holds another experiment"):
        workspace.commit("t", 1, workspace.read(base), base, "another")
    ours, theirs = tree(root, sha), tree(root, base)
    different = {path for path in ours.keys() | theirs.keys() if ours.get(path) != theirs.get(path)}
    assert different == {"src/deep/a.py", "run.sh", "prompts/new.md"}
    assert ours["run.sh"].startswith("100755") and ours["prompts/new.md"].startswith("100644")
    patch = workspace.diff(base, sha)
    assert "+++ b/src/deep/a.py" in patch and "new file mode 100644" in patch
    back = workspace.write(sha, workspace.read(base), "back")  # a new file is taken away again
    assert tree(root, back) == theirs
    after = git(root, "status", "--porcelain"), git(root, "rev-parse", "HEAD"), (root / ".git/index").read_bytes()
    assert after == before


def test_hashes_tell_versions_apart(root: Path) -> None:
    workspace = Workspace(root, rules=RULES)
    base = workspace.start("t", workspace.head())
    other = workspace.write(base, SourceTree(FILES | {"run.sh": "exit 1\n"}).text, "other")
    same = workspace.write(base, SourceTree(FILES).text, "same")
    assert workspace.blob(base) == workspace.blob(same) != workspace.blob(other)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("missing.py", "matches no file in git"),
        ("src/*.py", "matches no file in git"),
        ("mine.py", "git add"),
        ("link", "no plain file"),
        ("binary.md", "is binary"),
    ],
)
def test_what_cannot_be_edited_is_one_line_at_the_start(root: Path, pattern: str, words: str) -> None:
    (root / "mine.py").write_text("x\n")
    (root / "binary.md").write_bytes(b"a\0b")
    git(root, "add", "binary.md")
    git(root, "commit", "-qm", "binary")
    with pytest.raises(Blocker, match=words):
        Workspace(root, rules=EditRules((pattern,)))


def test_a_submodule_cannot_be_edited(root: Path) -> None:
    head = git(root, "rev-parse", "HEAD").strip()
    git(root, "update-index", "--add", "--cacheinfo", f"160000,{head},prompts/sub.md")
    git(root, "commit", "-qm", "submodule")
    with pytest.raises(Blocker, match="no plain file"):
        Workspace(root, rules=RULES)


def test_the_base_is_written_out_as_it_is_in_git(root: Path, tmp_path: Path) -> None:
    git(root, "config", "core.autocrlf", "true")
    (root / "bench.py").write_text("not committed\n")
    workspace = Workspace(root, rules=RULES)
    workspace.export(workspace.head(), tmp_path / "out")
    for name, text in (FILES | LOCKED).items():
        assert (tmp_path / "out" / name).read_bytes() == text.encode()
    assert os.access(tmp_path / "out/run.sh", os.X_OK) and not os.access(tmp_path / "out/bench.py", os.X_OK)
    assert (tmp_path / "out/link").readlink() == Path("bench.py")
    assert set(workspace.locked(workspace.head())) == {*LOCKED, "link"}


def test_the_users_files_are_replaced_only_where_nothing_is_lost(root: Path) -> None:
    workspace = Workspace(root, rules=RULES)
    text = SourceTree(FILES | {"src/deep/a.py": "A = 2\n", "prompts/new.md": "New.\n"}).text
    base = workspace.start("t", workspace.head())
    sha = workspace.commit("t", 1, text, base, "a change")
    assert not workspace.user_files.have_taken_over(sha) and not workspace.user_files.are_dirty()
    (root / "run.sh").write_text("mine\n")
    assert workspace.user_files.are_dirty()
    with pytest.raises(UserError, match=r"run\.sh has changes that are not committed"):
        workspace.user_files.replace(text, {workspace.blob(base), workspace.blob(sha)})
    assert (root / "src/deep/a.py").read_text() == "A = 1\n"
    git(root, "checkout", "run.sh")
    workspace.user_files.replace(text, {workspace.blob(base), workspace.blob(sha)})
    assert (root / "src/deep/a.py").read_text() == "A = 2\n" and (root / "prompts/new.md").exists()
    assert workspace.user_files.have_taken_over(sha) and os.access(root / "run.sh", os.X_OK)
    workspace.user_files.replace(workspace.read(base), {workspace.blob(sha)})  # that of a version, nothing is lost
    assert (root / "src/deep/a.py").read_text() == "A = 1\n"


LATIN = os.fsdecode(b"caf\xe9")  # no UTF-8


def test_names_that_are_no_utf8_are_in_nobodys_way(root: Path, tmp_path: Path) -> None:
    (root / f"sub{LATIN}").mkdir()
    (root / f"sub{LATIN}/train.py").write_text("x\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "names")
    workspace = Workspace(root, rules=RULES)
    base = workspace.start("t", workspace.head())
    git(root, "worktree", "add", "-q", "-b", "side", str(tmp_path / LATIN))
    assert workspace.other_worktrees() == [tmp_path / LATIN]
    text = SourceTree(FILES | {"run.sh": "exit 1\n"}).text
    sha = workspace.commit("t", 1, text, base, "a change")
    assert workspace.keep("t", 1, sha, "kept") == workspace.best("t") == workspace.branch("t")
    assert InitialCommit(root).namesakes("train.py") == [f"sub{LATIN}/train.py"]
    workspace.export(base, tmp_path / "out")
    assert (tmp_path / "out" / f"sub{LATIN}/train.py").read_text() == "x\n"
    assert Workspace(tmp_path / LATIN, rules=RULES).best("t") == workspace.best("t")
    with pytest.raises(Blocker, match="is not committed, but"):
        Workspace(root)


def test_a_file_of_the_users_whose_name_is_no_utf8_is_no_part_of_a_version(root: Path) -> None:
    workspace = Workspace(root, rules=RULES)
    base = workspace.start("t", workspace.head())
    (root / f"src/{LATIN}.py").write_text("mine\n")
    assert workspace.user_files.have_taken_over(base)
    (root / "run.sh").write_text("mine\n")
    with pytest.raises(UserError, match=r"run\.sh has changes"):
        workspace.user_files.replace(SourceTree(FILES).text, {workspace.blob(base)})
