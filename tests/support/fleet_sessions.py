"""Sessions on a cluster in a process of their own, and what they found."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.repositories import git

from autoresearch.ledger import Ledger

START_S, END_S = 300.0, 10.0


def start(root: Path, env: dict[str, str], *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "autoresearch", "run", *words]
    return subprocess.Popen(command, cwd=root, env=env, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)


def finish(run: "subprocess.Popen[str]") -> str:
    _, words = run.communicate(timeout=START_S)
    assert run.returncode == 0, words
    return words


def record(root: Path) -> dict[str, Any]:
    """Return what a session found: verdicts and scores, seeds of the trials that count, the trees of its versions."""
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as ledger:
        session = ledger.find_session("t")
        rows = ledger.experiments(session.id)
        trials = [trial for trial in ledger.trials(session.id) if trial.outcome == "ok" and trial.purpose != "filler"]
    names = git(root, "for-each-ref", "--format=%(refname)", "refs/autoresearch").split()
    return {
        "verdicts": [(row.n, row.verdict, row.val_bpb) for row in rows],
        "trials": sorted((trial.experiment_id, trial.purpose, trial.seed, trial.val_bpb) for trial in trials),
        "trees": {name: git(root, "rev-parse", f"{name}^{{tree}}").strip() for name in names},
    }


def results_of(root: Path) -> list[dict[str, Any]]:
    """Return the results of all trials that have ended."""
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as ledger:
        return [trial.result for trial in ledger.trials(ledger.find_session("t").id) if trial.outcome is not None]


def wait_for(condition: Callable[[], Any], seconds: float = START_S) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found
