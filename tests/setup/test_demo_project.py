"""The folder of `autoresearch demo`, its files and what it refuses; its train.py is an honest program that learns."""

import importlib
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from support.cells import CORE
from support.programs import autoresearch, call_main
from support.repositories import git

from autoresearch.cli.demo_command import describe_next
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UsageError
from autoresearch.ledger import Ledger, status
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings
from autoresearch.setup.demo_project import FIRST_LINE, lay_down_demo
from autoresearch.source.constants import constants

FILES = ["train.py", "program.md", "autoresearch.yaml", ".gitignore"]
TRAIN = Path(importlib.import_module("autoresearch.setup").__path__[0], "demo_files", "train.py")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No package index, no cached text, and no configured user of git."""
    for name, value in {"INDEX_URL": "http://127.0.0.1:9/", "NO_INDEX": "1", "FIND_LINKS": str(tmp_path)}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


def test_a_demo_is_a_repository_and_falls_back_to_a_text_that_needs_no_network(offline: None, tmp_path: Path) -> None:
    folder, said = tmp_path / "new" / "demo", list[str]()

    assert lay_down_demo(folder, said.append) == FILES
    assert git(folder, "status", "--porcelain") == ""
    assert git(folder, "ls-files").split() == sorted(FILES)
    assert "source: stdlib" in (folder / "autoresearch.yaml").read_text()
    assert "WEAK" in said[-1] and "\n" not in said[-1]

    (folder / "program.md").write_text("mine\n")
    assert lay_down_demo(folder, said.append) == []
    assert (folder / "program.md").read_text() == "mine\n"


def test_files_of_others_are_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("mine\n")
    (tmp_path / "file").write_text("mine\n")
    (tmp_path / "copy").mkdir()  # the settings of a demonstration alone: `run` would work on a repository around it
    (tmp_path / "copy" / "autoresearch.yaml").write_text(f"{FIRST_LINE} `autoresearch run --help` explains them.\n")
    for name, why in (("full", "is not empty"), ("copy", "is not empty"), ("file", "is a file")):
        with pytest.raises(UsageError, match=why):
            lay_down_demo(tmp_path / name, print)

    assert call_main(monkeypatch, "demo", str(tmp_path / "full")) == 2
    assert "is not empty, and no demonstration: name another folder" in capfd.readouterr().err
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


def test_a_folder_may_be_named_from_where_one_is(
    offline: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert lay_down_demo(Path("demo"), lambda line: None) == FILES
    assert (tmp_path / "demo" / ".git").is_dir()


def test_a_demo_inside_another_repository_has_its_own(offline: None, repository: Path) -> None:
    lay_down_demo(repository / "demo", lambda line: None)

    assert Path(git(repository / "demo", "rev-parse", "--show-toplevel").strip()).name == "demo"


def test_what_it_says_comes_next_works_inside_a_clone(
    offline: None, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay_down_demo(repository / "demo", lambda line: None)
    said = describe_next(Path("demo"), repository / "demo").splitlines()
    assert said[0] == "cd demo"
    monkeypatch.chdir(repository / "demo")
    [command] = [shlex.split(line, comments=True) for line in said if line.startswith("autoresearch init ")]
    assert call_main(monkeypatch, *command[1:]) == 0
    assert (tmp_path / "mine" / "train.py").exists() and (tmp_path / "repository") == repository


@pytest.mark.skipif(not Path(sys.prefix, "bin", "activate").exists(), reason="not in a virtual environment")
def test_the_program_is_put_on_the_path_where_it_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert f"\n. {sys.prefix}/bin/activate " in describe_next(Path("demo"), tmp_path / "demo")
    (tmp_path / "autoresearch").touch(0o755)
    assert "activate" not in describe_next(Path("demo"), tmp_path / "demo")


def test_the_program_learns_in_a_cell(bytes_data: Dataset, quick: Settings) -> None:
    text = TRAIN.read_text()
    result = CellReferee(replace(quick, cores=(CORE,)), bytes_data).measure(text, seed=3)

    assert result.outcome == "ok", result.reason
    assert result.audit is not None and result.audit["d_rms"] < 1e-4
    assert result.curve[-1]["loss"] < result.curve[0]["loss"] - 0.5
    assert len(constants(text)) >= 10


def test_its_gradients_are_those_of_its_loss_and_it_sees_no_later_byte() -> None:
    module = importlib.import_module("autoresearch.setup.demo_files.train")
    rng = np.random.default_rng(0)
    weights = {name: weight.astype(np.float64) for name, weight in module.init_weights(rng, 256).items()}
    x, y = rng.integers(0, 256, (2, 3, 9))
    _, gradients = module.loss_and_gradients(weights, x, y)
    for name, weight in weights.items():
        direction = rng.standard_normal(weight.shape)
        losses = []
        for sign in (1, -1):
            moved = weights | {name: weight + sign * 1e-5 * direction}
            losses.append(module.loss_and_gradients(moved, x, y)[0])
        assert (losses[0] - losses[1]) / 2e-5 == pytest.approx(np.vdot(gradients[name], direction), rel=1e-4, abs=1e-7)

    model: Callable[[np.ndarray], np.ndarray] = module.load(weights, {"context": module.CONTEXT}, "cpu")
    later = x.copy()
    later[:, 5:] = 7
    assert np.array_equal(model(x)[:, :5], model(later)[:, :5])
    assert not np.array_equal(model(x)[:, 5:], model(later)[:, 5:])


@pytest.mark.slow
def test_a_short_demo_ends_with_a_session_and_a_report(
    offline: None, settings_of: dict[str, str], tmp_path: Path
) -> None:
    lay_down_demo(tmp_path / "demo", lambda line: None)
    settings = yaml.safe_load((tmp_path / "demo" / "autoresearch.yaml").read_text())
    settings |= {"source": settings_of["AUTORESEARCH_SOURCE"], "budget": "10steps", "eval_rows": 32}  # on busy machines
    (tmp_path / "demo" / "autoresearch.yaml").write_text(f"{FIRST_LINE}\n{yaml.safe_dump(settings)}")
    git(tmp_path / "demo", "commit", "-qam", "be quick")
    env = {name: value for name, value in os.environ.items() if not name.startswith("AUTORESEARCH_")}
    env |= {"AUTORESEARCH_CACHE": settings_of["AUTORESEARCH_CACHE"]}
    env |= {"AUTORESEARCH_SOURCE": "climbmix", "AUTORESEARCH_BUDGET": "5m", "AUTORESEARCH_TAG": "mine"}  # of the user
    done = autoresearch(
        tmp_path, "demo", "demo", "--minutes", "1.5", "--slots", settings_of["AUTORESEARCH_SLOTS"], env=env
    )

    assert done.returncode == 0, done.stderr
    root = tmp_path / "demo"
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as ledger:
        session = ledger.sessions()[-1]
        result = status(ledger, session, 0.0)
    assert session.tag != "mine" and session.settings["budget"] == "10steps"
    assert "without AUTORESEARCH_TAG, AUTORESEARCH_BUDGET, AUTORESEARCH_SOURCE: " in done.stderr
    assert result.agent == "sweep" and result.base_bpb is not None  # a busy machine has no time for more
    assert (result.total is not None) == bool(result.best)
    assert (root / "runs" / result.tag / "report.html").exists()
    assert "This shows the loop, not a good model" in done.stderr or "Nothing was kept" in done.stderr
    assert "cd demo" in done.stderr and "Traceback" not in done.stderr
    assert git(root, "status", "--porcelain") == ""
