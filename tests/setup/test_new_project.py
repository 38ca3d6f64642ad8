"""`autoresearch init`: what it lays down, what it leaves alone, and what it says about the user's own train.py."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from support.nvml import install_nvml
from support.programs import call_main
from support.repositories import BIGRAM, git

from autoresearch import config
from autoresearch.config import Config
from autoresearch.setup.templates import SETTINGS, read_template

FILES = ["train.py", "program.md", "autoresearch.yaml", ".gitignore"]
Inits = Callable[..., tuple[int, str, str]]


@pytest.fixture
def init(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Inits:
    """Calls `init` in a folder of a user whom git does not know: its exit code, stdout and stderr."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL", "EMAIL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    def calling(folder: Path, *arguments: str) -> tuple[int, str, str]:
        monkeypatch.chdir(folder)
        code = call_main(monkeypatch, "init", *arguments)
        return code, *capfd.readouterr()

    return calling


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path / "project"


def committed(folder: Path, commit: str = "HEAD") -> list[str]:
    """The names of the files that a commit adds or changes."""
    return git(folder, "show", "--format=", "--name-only", commit).split()


def test_an_empty_folder_becomes_a_project_that_can_run(empty: Path, init: Inits) -> None:
    code, out, err = init(empty)
    assert (code, err) == (0, "")
    assert all(name in out for name in FILES) and "a new git repository" in out
    assert "autoresearch doctor" in out and "autoresearch run" in out
    assert sorted(committed(empty)) == sorted(FILES) and git(empty, "status", "--porcelain") == ""
    assert (empty / "train.py").read_text() == read_template("train.py")
    assert config.load(empty, {}).model_fields_set <= {"device"}
    (empty / "runs").mkdir()
    (empty / "runs" / "ledger.db").touch()
    assert git(empty, "status", "--porcelain") == ""


def test_a_card_gets_a_text_unless_somebody_has_chosen_one(
    tmp_path: Path, init: Inits, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_nvml(monkeypatch)
    for name, chosen in (("open", ""), ("chosen", "files:texts"), ("settled", "")):
        monkeypatch.setenv("AUTORESEARCH_SOURCE", chosen)
        folder = tmp_path / name
        folder.mkdir()
        if name == "settled":
            (folder / "autoresearch.yaml").write_text("hours: 8\n")
        code, out, _ = init(folder)
        is_set = "source" in config.load(folder, {}).model_fields_set and not chosen
        assert code == 0 and is_set == ("downloads ten shards" in out) == (name == "open")
    assert config.load(tmp_path / "open", {}).source == "climbmix"


def test_twice_is_harmless(empty: Path, init: Inits) -> None:
    init(empty)
    before = {path: path.read_text() for path in empty.iterdir() if path.is_file()}
    head = git(empty, "rev-parse", "HEAD")
    code, out, _ = init(empty)
    assert code == 0 and "nothing new to commit" in out and "missing" not in out
    assert git(empty, "rev-parse", "HEAD") == head
    assert {path: path.read_text() for path in empty.iterdir() if path.is_file()} == before


def test_what_was_laid_down_before_a_kill_is_committed_by_the_next_call(empty: Path, init: Inits) -> None:
    git(empty, "init", "-q")
    (empty / "train.py").write_text(read_template("train.py"))
    init(empty)
    assert sorted(committed(empty)) == sorted(FILES)


def test_a_folder_is_made_and_named_in_the_next_commands(empty: Path, init: Inits) -> None:
    code, out, _ = init(empty, "a night/deep")
    assert code == 0 and f"cd '{empty}/a night/deep'" in out
    assert (empty / "a night" / "deep" / "train.py").exists() and not (empty / "train.py").exists()


def test_the_users_files_and_their_changes_stay_as_they_are(empty: Path, init: Inits) -> None:
    git(empty, "init", "-q")
    own = {"train.py": BIGRAM, "program.md": "Mine.\n", "autoresearch.yaml": "hours: 3\n", ".gitignore": "*.log"}
    for name, text in (own | {"other.py": "1\n"}).items():
        (empty / name).write_text(text)
    git(empty, "add", "-A")
    git(empty, "commit", "-qm", "mine")
    (empty / "other.py").write_text("2\n")
    (empty / "train.py").write_text(BIGRAM + "# more\n")
    (empty / "staged.py").touch()
    git(empty, "add", "staged.py")
    (empty / "untracked.py").touch()
    code, out, _ = init(empty)
    assert code == 0 and "it has both" in out
    assert committed(empty) == [".gitignore"] and (empty / ".gitignore").read_text() == "*.log\nruns/\n"
    assert git(empty, "status", "--porcelain").splitlines() == [
        " M other.py", "A  staged.py", " M train.py", "?? untracked.py"
    ]  # fmt: skip
    assert all((empty / name).read_text() == own[name] for name in ("program.md", "autoresearch.yaml"))


@pytest.mark.parametrize("ignored", ["runs/\n", "/runs/*\n!/runs/.gitkeep\n", "runs\n"])
def test_runs_that_are_ignored_already_get_no_second_line(empty: Path, init: Inits, ignored: str) -> None:
    git(empty, "init", "-q")
    (empty / ".gitignore").write_text(ignored)
    init(empty)
    assert (empty / ".gitignore").read_text() == ignored


def test_a_gitignore_with_changes_of_the_users_gets_the_line_but_is_not_committed(empty: Path, init: Inits) -> None:
    git(empty, "init", "-q")
    (empty / ".gitignore").write_text("*.log\n")
    _, out, _ = init(empty)
    assert (empty / ".gitignore").read_text() == "*.log\nruns/\n" and ".gitignore has changes of yours" in out
    assert ".gitignore" not in committed(empty)


def test_a_gitignore_in_no_repository_is_committed_with_the_line(empty: Path, init: Inits) -> None:
    (empty / ".gitignore").write_text("*.log\n")
    _, out, _ = init(empty)
    assert ".gitignore has changes" not in out and git(empty, "show", "HEAD:.gitignore") == "*.log\nruns/\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def train(trial):\n    pass\n", ["missing: train.py has no function `load`"]),
        ("print(1)\n", ["missing: train.py has no function `train`", "missing: train.py has no function `load`"]),
        ("def train(:\n", ["missing: train.py does not parse"]),
        ("def train():\n  pass\n" + BIGRAM.partition("\n\n\n")[2].partition("\n\n\n")[2], ["`train` has to take 1"]),
        ("import absent_package\n" + BIGRAM, ["missing: train.py imports `absent_package`, which is not installed"]),
        (BIGRAM, ["it has both"]),
    ],
)
def test_it_says_what_the_users_own_train_file_lacks(empty: Path, init: Inits, text: str, words: list[str]) -> None:
    (empty / "train.py").write_text(text)
    code, out, _ = init(empty)
    assert code == 0 and "train.py is yours and stays as it is" in out and "load(state, config, device)" in out
    assert all(each in out for each in words)
    assert (empty / "train.py").read_text() == text
    assert "train.py" in committed(empty)  # of a repository that `init` has made


def test_a_train_file_that_is_not_in_git_is_left_to_the_user(empty: Path, init: Inits) -> None:
    git(empty, "init", "-q")
    (empty / "train.py").write_text(BIGRAM)
    _, out, _ = init(empty)
    assert "train.py is not committed: `git add train.py && git commit" in out
    assert "train.py" not in committed(empty) and "?? train.py" in git(empty, "status", "--porcelain")


def test_a_train_file_that_is_deleted_is_not_replaced(repository: Path, init: Inits) -> None:
    (repository / "train.py").unlink()
    code, out, _ = init(repository)
    assert code == 0 and "`git checkout HEAD train.py` brings it back" in out
    assert not (repository / "train.py").exists() and "train.py" not in committed(repository)


def test_the_settings_decide_which_file_is_the_train_file(empty: Path, init: Inits) -> None:
    (empty / "autoresearch.yaml").write_text("train: model/train_it.py\n")
    code, _, _ = init(empty)
    assert code == 0 and (empty / "model" / "train_it.py").exists() and not (empty / "train.py").exists()


def test_a_train_file_in_another_folder_is_named(empty: Path, init: Inits) -> None:
    git(empty, "init", "-q")
    (empty / "exp").mkdir()
    (empty / "exp" / "train.py").write_text(BIGRAM)
    git(empty, "add", "-A")
    git(empty, "commit", "-qm", "mine")
    code, out, _ = init(empty)
    assert code == 0 and "exp/train.py is there too" in out and "`train: exp/train.py` into autoresearch.yaml" in out


def test_variables_of_git_do_not_lead_it_to_another_repository(
    empty: Path, repository: Path, init: Inits, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(repository, "rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(repository))
    assert init(empty)[0] == 0
    monkeypatch.delenv("GIT_DIR")
    monkeypatch.delenv("GIT_WORK_TREE")
    assert git(repository, "rev-parse", "HEAD") == head and sorted(committed(empty)) == sorted(FILES)


def test_hooks_of_the_user_do_not_run(empty: Path, init: Inits) -> None:
    git(empty, "init", "-q")
    hook = empty / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    assert init(empty)[0] == 0 and sorted(committed(empty)) == sorted(FILES)


@pytest.mark.parametrize(
    ("place", "code", "words"),
    [
        ("file", 2, "file is a file, or is in one: name a folder"),
        ("file/below", 2, "is a file, or is in one: name a folder"),
        ("bare", 3, "is a bare git repository: use a clone with files in it"),
        ("half", 3, "half/.git is not a git repository: mend it, or move it away"),
        ("repository/below", 1, "is inside the git repository"),
        ("repository/.git", 1, "is inside the git repository"),
        ("broken", 2, "budgget"),
        ("outside", 2, "is outside of"),
    ],
)
def test_a_place_that_cannot_become_a_project(
    empty: Path, repository: Path, init: Inits, place: str, code: int, words: str
) -> None:
    folder = empty.parent
    (folder / "file").touch()
    git(folder, "init", "-q", "--bare", "bare")
    (folder / "half" / ".git").mkdir(parents=True)
    for name, text in (("broken", "budgget: 5m\n"), ("outside", "train: ../train.py\n")):
        (folder / name).mkdir()
        (folder / name / "autoresearch.yaml").write_text(text)
    before = git(repository, "status", "--porcelain", "--ignored")
    ended, out, err = init(folder, place)
    assert (ended, out) == (code, "") and words in err and len(err.splitlines()) == 1
    assert git(repository, "status", "--porcelain", "--ignored") == before
    assert not (repository / "below").exists()
    assert not (folder / "broken" / ".git").exists() and not (folder / "outside" / ".git").exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(empty: Path, init: Inits) -> None:
    empty.chmod(0o555)
    code, out, err = init(empty)
    assert (code, out) == (1, "") and "cannot be written" in err and len(err.splitlines()) == 1


def test_each_line_of_the_settings_file_is_a_setting() -> None:
    lines = [line.removeprefix("# ") for line in SETTINGS.partition("\n\n")[2].splitlines()]
    names = [line.partition(":")[0] for line in lines]
    assert names and set(names) <= set(Config.model_fields)


def test_a_settings_file_with_all_lines_set_can_be_read(tmp_path: Path) -> None:
    head, _, rest = SETTINGS.partition("\n\n")
    (tmp_path / "autoresearch.yaml").write_text(
        f"{head}\n\n{rest.replace('# ', '', 1).replace(chr(10) + '# ', chr(10))}"
    )
    assert config.load(tmp_path, {}).max_usd == 10


def make_clone(folder: Path, more: str = "") -> None:
    example = Path(__file__).resolve().parents[2] / "examples" / "karpathy"
    (folder / "train.py").write_text(more + (example / "train.py").read_text())
    (folder / "prepare.py").write_text((example / "prepare.py").read_text())
    git(folder, "init", "-q")


@pytest.mark.slow
def test_a_clone_of_the_original_gets_settings_that_measure_it(empty: Path, init: Inits) -> None:
    make_clone(empty)
    code, out, _ = init(empty)
    assert code == 0 and "train.py is a script in the shape of karpathy/autoresearch's" in out
    assert "measured with our prepare: a short training showed that its state_dict holds all" in out
    assert "missing" not in out and "look at this" not in out
    read = config.load(empty, {})
    assert (read.seq_len, read.vocab_size, read.run) == (64, 256, None) and str(read.budget).startswith("5")


@pytest.mark.slow
def test_a_fork_with_numbers_beside_its_state_is_measured_as_it_is(empty: Path, init: Inits) -> None:
    make_clone(empty)
    text = (empty / "train.py").read_text()
    for old, new in {
        "        self.head =": "        self.scale = 1.0\n        self.head =",
        "self.head(norm(x)).float()": "self.head(norm(x)).float() * self.scale",
        "    optimizer.step()\n": "    optimizer.step()\n    model.scale += 0.01\n",
    }.items():
        text = text.replace(old, new)
    (empty / "train.py").write_text(text)
    code, out, _ = init(empty)
    assert code == 0 and "measured as it is, by the number that it prints: what was saved answers otherwise" in out
    assert config.load(empty, {}).run is not None


def test_a_fork_that_wants_more_of_its_prepare_is_measured_as_it_is(empty: Path, init: Inits) -> None:
    make_clone(empty, "from prepare import DATASETS\n")
    code, out, _ = init(empty)
    assert code == 0 and "look at this: train.py imports DATASETS from prepare" in out
    assert "measured as it is, by the number that it prints: train.py imports DATASETS from prepare" in out
    read = config.load(empty, {})
    assert read.run is not None and read.run.timeout == 10.0 and read.edit == ["train.py"]
