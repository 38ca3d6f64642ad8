"""What doctor finds: here, outside of a repository, and with a broken setting."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autoresearch import checkup
from autoresearch.config import Config


def doctor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoresearch", "doctor", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


@pytest.fixture(autouse=True)
def _here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AUTORESEARCH_DEVICE", "cpu")


def test_a_good_repository_passes_and_json_says_the_same(repository: Path) -> None:
    done = doctor(repository, "--json")
    report = json.loads(done.stdout)
    levels = {check["name"]: check["level"] for check in report["checks"]}
    assert done.returncode == 0 and not report["blocked"]
    assert levels["repository"] == levels["train.py"] == levels["torch"] == "ok"
    assert levels["data"] == "warn"  # prepared by the first run
    assert report["grade"] in ("STRONG", "WEAK") and len(report["attacks"]) > 50
    assert report["night"]["experiments"] > 500


def test_changes_that_are_not_committed_are_named(repository: Path) -> None:
    (repository / "train.py").write_text("# changed\n")
    done = doctor(repository)
    assert done.returncode == 0
    assert "has changes that are not committed" in done.stdout


def test_outside_of_a_repository_everything_else_is_still_checked(tmp_path: Path) -> None:
    done = doctor(tmp_path)
    assert done.returncode == 3
    assert "git init" in done.stdout and "self-attack" in done.stdout and "train.py" not in done.stdout.split("-> ")[0]


def test_a_broken_setting_is_one_line(repository: Path) -> None:
    (repository / "autoresearch.yaml").write_text("budgget: 5m\n")
    done = doctor(repository)
    assert done.returncode == 3
    assert "budgget" in done.stdout and "Traceback" not in done.stderr


def test_the_night_counts_replicates_and_reruns(tmp_path: Path) -> None:
    night = checkup.expected_night(tmp_path / "none.db", Config(budget="5m"), "cuda")
    assert night is not None and not night.measured
    trials = 8 * 3600 / night.trial_seconds
    assert night.experiments == int((trials - 3) / 1.25)
    assert checkup.expected_night(tmp_path / "none.db", Config(budget="200steps"), "cpu") is None


def test_no_ledger_yet(repository: Path) -> None:
    done = doctor(repository, "--ledger")
    assert done.returncode == 1
    assert "no ledger yet" in done.stderr
