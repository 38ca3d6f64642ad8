"""Sessions whose number is exact, a rate over tasks or a time, through the command line."""

import json
from collections import Counter
from pathlib import Path

import pytest
from support.metrics import ACCURACY, SECONDS, SOLVED, STEPS, make_metric
from support.programs import call_main
from support.repositories import git
from support.triplets import one_line_patch, write_script

from autoresearch.ledger import Ledger

FOREIGN = ("val_bpb", "bpb", "bits per byte")
Capture = pytest.CaptureFixture[str]


def edit(old: str, new: str) -> str:
    return one_line_patch("policy.py", old, new)


def run(path: Path, monkeypatch: pytest.MonkeyPatch, metric: str, patches: dict[str, str], *more: str) -> int:
    """Run a session of scripted patches in a new repository, which becomes the current folder."""
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(path / "cache"))
    monkeypatch.setenv("AUTORESEARCH_TAG", "t")
    monkeypatch.chdir(make_metric(path / "repository", metric))
    script = write_script(path / "script", patches)
    return call_main(monkeypatch, "run", "--agent", f"scripted:{script}", "--device", "cpu", *more)


def verdicts() -> dict[int, str | None]:
    with Ledger.open(Path("runs/ledger.db"), readonly=True) as ledger:
        return {row.n: row.verdict for row in ledger.experiments(1)}


def purposes(n: int) -> Counter[str]:
    """Return how many trials of each purpose an experiment had."""
    with Ledger.open(Path("runs/ledger.db"), readonly=True) as ledger:
        found = ledger.experiment(1, n)
        assert found is not None
        return Counter(trial.purpose for trial in ledger.trials(1, found.id))


def output(monkeypatch: pytest.MonkeyPatch, capfd: Capture, *command: str) -> str:
    capfd.readouterr()
    assert call_main(monkeypatch, *command) == 0
    found = capfd.readouterr()
    return found.out + found.err


@pytest.mark.slow  # a whole session of commands in cells
def test_another_metric_has_its_own_name_direction_and_sign_on_every_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    patches = {
        "01-better": edit("SKILL = 20", "SKILL = 50"),
        "02-worse": edit("SKILL = 50", "SKILL = 5"),
        "03-broken": edit("SKILL = 50", "SKILL = None"),
    }
    assert run(tmp_path, monkeypatch, ACCURACY, patches) == 0
    words = capfd.readouterr()
    assert verdicts() == {0: "keep", 1: "keep", 2: "discard", 3: "crash"}
    pages = {
        "run": words.out + words.err,
        **{" ".join(each): output(monkeypatch, capfd, *each) for each in COMMANDS},
        "message": git(Path.cwd(), "log", "--format=%B", "autoresearch/t"),
        "results.tsv": Path("runs/t/results.tsv").read_text(),
        "report.md": Path("runs/t/report.md").read_text(),
        "report.html": Path("runs/t/report.html").read_text(),
        "lessons": "".join(path.read_text() for path in Path("runs").glob("lessons-*.md")),
    }
    found = {name: [word for word in FOREIGN if word in text.lower()] for name, text in pages.items()}
    assert not {name: words for name, words in found.items() if words}
    assert "accuracy" in pages["log --all"] and "accuracy" in pages["results.tsv"]
    assert "higher is better" in pages["brief"] and "should raise it" in pages["brief"]
    assert "accuracy, points, higher is better" in pages["report.html"]
    status = json.loads(output(monkeypatch, capfd, "status", "--json"))
    assert status["metric"] == {"name": "accuracy", "unit": "points", "goal": "max", "kind": "noisy"}
    assert 0.8 < status["best_bpb"] < 0.9 and status["base_bpb"] < 0.6
    gain = next(line for line in pages["show 1"].splitlines() if line.startswith("measured"))
    assert "+0." in gain and "Goal: max" in pages["message"] and "Score: 0.8" in pages["message"]
    again = json.loads(output(monkeypatch, capfd, "log", "--all", "--json"))
    assert again[1]["delta"] < 0 < again[2]["delta"]  # as the judge sees them


COMMANDS = (
    ["log", "--all"],
    ["log", "--by", "category"],
    ["show", "1"],
    ["show", "2"],
    ["status"],
    ["brief"],
    ["report"],
    ["sessions"],
    ["export", "--branch", "mine"],
    ["run", "--help"],
)


@pytest.mark.slow  # a whole session of commands in cells
def test_an_exact_number_takes_one_run_and_one_confirmation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    """The base is measured three times, for its kind is not told; what is not better has one trial."""
    patches = {
        "01-same": edit("SKILL = 20", "SKILL = 30"),
        "02-better": edit("STEPS = 12", "STEPS = 11"),
        "03-worse": edit("STEPS = 11", "STEPS = 14"),
    }
    assert run(tmp_path, monkeypatch, STEPS, patches) == 0
    assert verdicts() == {0: "keep", 1: "discard", 2: "keep", 3: "discard"}
    assert [purposes(n).total() for n in range(4)] == [3, 1, 2, 1]
    assert json.loads(output(monkeypatch, capfd, "status", "--json"))["metric"]["kind"] == "exact"
    assert "a second run confirms it: -1" in output(monkeypatch, capfd, "show", "2")
    assert "any gain of steps" in output(monkeypatch, capfd, "status")


@pytest.mark.slow  # a whole session of commands in cells
def test_a_rate_is_judged_task_by_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture) -> None:
    patches = {
        "01-null": edit("STEPS = 12", "STEPS = 13"),
        "02-better": edit("SKILL = 20", "SKILL = 40"),
        "03-null": edit("STEPS = 12", "STEPS = 14"),
    }
    assert run(tmp_path, monkeypatch, SOLVED, patches) == 0
    assert verdicts() == {0: "keep", 1: "discard", 2: "keep", 3: "discard"}
    words = output(monkeypatch, capfd, "show", "2")
    assert "are solved better than in experiment 0" in words
    assert json.loads(output(monkeypatch, capfd, "show", "2", "--json"))["tasks"]["count"] == 60


@pytest.mark.slow  # a whole session of commands in cells
def test_a_time_is_measured_in_turns_with_the_incumbent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    patches = {"01-better": edit("STEPS = 12", "STEPS = 1")}
    monkeypatch.setattr("support.metrics.HARNESS", TIMED)
    assert run(tmp_path, monkeypatch, SECONDS, patches) == 0
    assert verdicts() == {0: "keep", 1: "keep"}
    assert purposes(1)["rerun"] == purposes(0)["sentinel"] > 0
    words = output(monkeypatch, capfd, "log")
    assert "runtime" in words and "%" in words


TIMED = """import sys
import time

import policy

time.sleep(0.05 * policy.STEPS)
open(sys.argv[2] + "/tasks.jsonl", "w").close()
"""
