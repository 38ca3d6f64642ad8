"""The example `sorting-network`: a proof in a cell of its own decides."""

import json
import shutil
from pathlib import Path

import pytest
from support.examples import Example
from support.repositories import git


@pytest.mark.slow
def test_fewer_comparators_are_kept_and_forgeries_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("sorting-network", tmp_path, monkeypatch)
    assert example.run() == 0
    assert "separate | 6 files locked" in capfd.readouterr().err
    rows = example.rows(capfd)
    assert {name: row["verdict"] for name, row in rows.items()} == {
        "the-base": "keep",
        "mirrored": "discard",
        "one-left-out": "crash",
        "patched-check": "crash",
        "own-output": "crash",
        "batcher": "keep",
        "sixty": "keep",
        "mirrored-sixty": "discard",
    }
    assert [rows[name]["val_bpb"] for name in ("the-base", "batcher", "sixty")] == [120, 63, 60]
    assert "119 comparators do not sort 1000000000000000" in rows["one-left-out"]["reason"]
    assert git(example.root, "diff", "--name-only", "HEAD", "autoresearch/t").split() == ["network.py"]


def test_sweep_says_that_it_has_nothing_to_move(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("sorting-network", tmp_path, monkeypatch)
    assert example.call("run", "--agent", "sweep", "--device", "cpu") == 1
    output = capfd.readouterr()
    assert "no file has a constant" in output.out and "broken" not in output.err
    assert "any gain of comparators is kept\n" in output.out and "in 0 experiments" not in output.err


def test_a_trial_measures_what_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("sorting-network", tmp_path, monkeypatch)
    assert example.call("trial") == 0
    assert "comparators:      120\n" in capfd.readouterr().out
    with (example.root / "network.py").open("a") as file:
        file.write("raise SystemExit(3)\n")
    assert example.call("trial", "--json") == 0
    output = capfd.readouterr()
    assert json.loads(output.out)["val_bpb"] == 120 and "measures what is committed" in output.err
    git(example.root, "commit", "-qam", "broken")
    assert example.call("trial") == 1
    assert "outcome:          crash\n" in capfd.readouterr().out


def test_what_is_for_train_py_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("sorting-network", tmp_path, monkeypatch)
    assert example.call("plan") == 1
    assert "`plan` is for train.py: a command measures here" in capfd.readouterr().err
    assert example.call("trial", "network.py") == 2
    assert "leave network.py out" in capfd.readouterr().err


def test_a_copy_without_git_or_a_commit_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    example = Example("sorting-network", tmp_path, monkeypatch)
    shutil.rmtree(example.root / ".git")
    assert example.call("run", "--agent", "sweep") == 3
    assert "`git init && git add -A && git commit -m start`" in capfd.readouterr().err
    git(example.root, "init", "-q")
    assert example.call("run", "--agent", "sweep") == 3
    assert "no commit yet: `git add -A && git commit -m start`" in capfd.readouterr().err
