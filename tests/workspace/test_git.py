"""The top folder of a repository is the one that git finds."""

import subprocess
import sys
from pathlib import Path

import pytest
from support.repositories import git, make_repository

from autoresearch.errors import Blocker
from autoresearch.workspace.git import top_folder


@pytest.mark.parametrize("place", ["", "deep/er", ".git", "linked", "linked/deep", "apart"])
def test_the_top_is_where_git_says(place: str, repository: Path) -> None:
    (repository / "deep" / "er").mkdir(parents=True)
    git(repository, "worktree", "add", "-q", "linked", "-b", "other")
    (repository / "linked" / "deep").mkdir()
    make_repository(repository / "apart", "x = 1\n")
    folder = repository / place
    expected = repository if place == ".git" else Path(git(folder, "rev-parse", "--show-toplevel").strip())
    assert top_folder(folder) == expected


def test_a_bare_repository_inside_another_has_no_files(repository: Path) -> None:
    git(repository, "init", "-q", "--bare", "bare.git")
    with pytest.raises(Blocker, match="is a bare git repository"):
        top_folder(repository / "bare.git")


def test_half_a_repository_is_none(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(Blocker, match=r"\.git is not a git repository: mend it"):
        top_folder(tmp_path)


def test_a_plain_clone_needs_no_gitpython(repository: Path) -> None:
    code = "from autoresearch.workspace import git; git.top_folder(Path.cwd()); sys.exit('git' in sys.modules)"
    code = f"import sys; from pathlib import Path; {code}"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository).returncode == 0
