"""The honest total: arithmetic, and a real one."""

import json
import random
import subprocess
import sys
from pathlib import Path
from statistics import fmean

import pytest

from autoresearch.ledger import Ledger
from autoresearch.review.total import interval, quantile


def test_quantiles_are_students() -> None:
    for dof, t in ((2, 4.303), (4, 2.776), (9, 2.262), (60, 2.000)):
        assert quantile(dof) == pytest.approx(t, rel=0.05)  # Wallace, on the careful side


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = random.Random(0)
    found = [interval([rng.gauss(-0.01, 0.02) for _ in range(4)]) for _ in range(2000)]
    assert fmean(each.low <= -0.01 <= each.high for each in found) == pytest.approx(0.95, abs=0.02)
    assert fmean(each.mean for each in found) == pytest.approx(-0.01, abs=0.001)


def test_base_against_final_on_fresh_seeds(finished: Path, settings_of: dict[str, str]) -> None:
    command = [sys.executable, "-m", "autoresearch", "total", "--pairs", "2", "--json"]
    done = subprocess.run(command, cwd=finished, env=settings_of, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["base"], found["final"], found["pairs"]) == (0, 1, 2)
    assert found["val"]["mean"] < 0 and found["holdout"]["mean"] < 0
    assert found["optimism"] == pytest.approx(found["running_minimum"] - found["val"]["mean"], abs=1e-6)
    with Ledger.open(finished / "runs" / "ledger.db", readonly=True) as store:
        trials = store.trials(1)
        total = [trial for trial in trials if trial.purpose == "total"]
        assert len(total) == 4 and len({trial.seed for trial in total}) == 2
        assert not {trial.seed for trial in total} & {trial.seed for trial in trials if trial.purpose != "total"}
    assert subprocess.run([*command[:3], "doctor", "--ledger"], cwd=finished, env=settings_of).returncode == 0


def test_a_version_is_reproduced(finished: Path, settings_of: dict[str, str]) -> None:
    command = [sys.executable, "-m", "autoresearch", "reproduce"]
    done = subprocess.run([*command, "1", "--draws", "2", "--json"], cwd=finished, env=settings_of, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["agrees"] and len(found["draws"]) == 2 and found["measured"] == pytest.approx(found["recorded"], abs=2 * found["error"])
    with Ledger.open(finished / "runs" / "ledger.db") as store:
        row = store.experiment(1, 1)
        assert row is not None and row.val_bpb is not None
        store.update_experiment(row.id, val_bpb=row.val_bpb - 1.0)  # a record that nobody measured
    done = subprocess.run([*command, "1", "--draws", "1"], cwd=finished, env=settings_of, capture_output=True, text=True, timeout=120)
    with Ledger.open(finished / "runs" / "ledger.db") as store:
        store.update_experiment(row.id, val_bpb=row.val_bpb)
    assert done.returncode == 1 and "does NOT agree with the record" in done.stdout
    done = subprocess.run([*command, "9"], cwd=finished, env=settings_of, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and "experiment 9 has no score that could be reproduced" in done.stderr
