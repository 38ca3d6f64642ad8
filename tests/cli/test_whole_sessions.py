"""Commands for whole sessions and for the user's own file: sessions, remove, best --write."""

import json
import shutil
from pathlib import Path

import pytest
from support.programs import autoresearch
from support.repositories import git

from autoresearch.analysis import consistency
from autoresearch.ledger import Ledger

pytestmark = pytest.mark.slow


@pytest.fixture
def root(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "repository")


def best_text(root: Path) -> str:
    return git(root, "show", "refs/autoresearch/t/best:train.py")


def test_the_best_version_takes_the_place_of_train_py(root: Path, settings_of: dict[str, str]) -> None:
    (root / "train.py").chmod(0o755)
    git(root, "commit", "-qam", "executable")
    done = autoresearch(root, "best", "--write", env=settings_of)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "train.py is now that of experiment 1 of session t" in done.stderr
    assert (root / "train.py").read_text() == best_text(root) != git(root, "show", "HEAD:train.py")
    assert (root / "train.py").stat().st_mode & 0o777 == 0o755
    assert git(root, "status", "--porcelain") == " M train.py\n"
    again = autoresearch(root, "best", "--write", env=settings_of)
    assert again.returncode == 0, "it is a version of the session: nothing is lost"


def test_changes_that_are_not_committed_are_not_replaced(root: Path, settings_of: dict[str, str]) -> None:
    with (root / "train.py").open("a") as file:
        file.write("# mine\n")
    mine = (root / "train.py").read_text()
    done = autoresearch(root, "best", "--write", env=settings_of)
    assert done.returncode == 1 and "would be lost: commit them, or replace them with --force" in done.stderr
    assert (root / "train.py").read_text() == mine
    done = autoresearch(root, "best", "--write", "--force", "--json", env=settings_of)
    assert json.loads(done.stdout)["n"] == 1
    assert (root / "train.py").read_text() == best_text(root)
    assert autoresearch(root, "best", "--force", env=settings_of).returncode == 2


def test_changes_that_git_was_told_not_to_see_are_not_replaced(root: Path, settings_of: dict[str, str]) -> None:
    git(root, "update-index", "--assume-unchanged", "train.py")
    (root / "train.py").write_text("mine = 1\n")
    assert git(root, "status", "--porcelain") == ""
    done = autoresearch(root, "best", "--write", env=settings_of)
    assert done.returncode == 1 and "would be lost" in done.stderr
    assert (root / "train.py").read_text() == "mine = 1\n"


def test_line_ends_that_git_converts_are_no_change(root: Path, settings_of: dict[str, str]) -> None:
    git(root, "config", "core.autocrlf", "true")
    text = (root / "train.py").read_bytes()
    (root / "train.py").write_bytes(text.replace(b"\n", b"\r\n"))
    done = autoresearch(root, "best", "--write", env=settings_of)
    assert done.returncode == 0, done.stderr


def test_sessions_are_listed(root: Path, settings_of: dict[str, str]) -> None:
    done = autoresearch(root, "sessions", env=settings_of)
    assert done.returncode == 0 and " t " in f" {done.stdout.splitlines()[1]} ", done.stderr
    (row,) = json.loads(autoresearch(root, "sessions", "--json", env=settings_of).stdout)
    assert (row["tag"], row["state"], row["experiments"], row["kept"]) == ("t", "ended", 2, 1)
    assert row["bytes"] > 0 and row["best_bpb"] < row["base_bpb"]


def test_a_session_is_removed_and_comes_back(root: Path, settings_of: dict[str, str]) -> None:
    best, head, text = git(root, "rev-parse", "autoresearch/t").strip(), git(root, "rev-parse", "HEAD"), best_text(root)
    base = git(root, "rev-parse", "refs/autoresearch/t/0").strip()
    git(root, "branch", "mine", "autoresearch/t")
    done = autoresearch(root, "remove", "t", env=settings_of)
    assert done.returncode == 2 and "add --yes" in done.stderr
    assert (root / "runs/t").exists() and best_text(root) == text
    done = autoresearch(root, "remove", "t", "--yes", env=settings_of)
    assert done.returncode == 0, done.stderr
    assert not (root / "runs/t").exists() and not git(root, "for-each-ref", "refs/autoresearch")
    assert git(root, "for-each-ref", "--format=%(refname:short)", "refs/heads").split() == ["main", "mine"]
    assert git(root, "rev-parse", "HEAD") == head and consistency.check(root) == []
    assert autoresearch(root, "status", "--tag", "t", env=settings_of).returncode == 1
    back = f"git update-ref refs/autoresearch/t/0 {base} && git update-ref refs/autoresearch/t/best {best}"
    assert f"`{back} && autoresearch run --tag t`" in done.stderr
    with Ledger.open(Path(done.stderr.split()[-1]), readonly=True) as copy:
        assert [session.tag for session in copy.sessions()] == ["t"]


def test_a_branch_that_the_user_has_moved_stays(root: Path, settings_of: dict[str, str]) -> None:
    git(root, "branch", "-f", "autoresearch/t", "main")
    done = autoresearch(root, "remove", "t", "--yes", env=settings_of)
    assert done.returncode == 0 and "branch autoresearch/t stays" in done.stderr
    assert git(root, "rev-parse", "autoresearch/t") == git(root, "rev-parse", "main")


def test_a_session_that_is_not_there_is_not_removed(root: Path, settings_of: dict[str, str]) -> None:
    done = autoresearch(root, "remove", "u", "--yes", env=settings_of)
    assert done.returncode == 1 and "there is no session `u`; there is t" in done.stderr
