"""Made-up experiments, as queries return them."""

from typing import Any

from autoresearch.ledger import ExperimentRow, Trial
from autoresearch.ledger.breakdown import GroupSums


def experiment(n: int, verdict: str | None = "discard", **columns: Any) -> ExperimentRow:
    """Return a settled experiment with a score."""
    about = {
        "id": n + 1, "session_id": 1, "text": None, "blob": None, "fingerprint": None, "shape": None, "numbers": None,
        "params": {}, "n": n, "sha": f"{n:07x}" + "0" * 33, "parent": 0 if n else None,
        "origin": None, "line": None, "mode": None,
        "state": "settled", "verdict": verdict, "reason": "why", "agent": "sweep" if n else None, "model": None,
        "category": "other", "hypothesis": f"idea {n}", "change": None, "program_hash": None, "grade": "STRONG",
        "near_miss": False, "arm": None, "review": None, "baseline": 0 if n else None,
    }  # fmt: skip
    numbers = {
        "val_bpb": 2.0 + n / 1000, "delta": n / 1000 if n else None, "sigma": 0.01, "error": 0.008, "p_gain": None,
        "predicted": None, "trials": 1, "lines_added": 0, "lines_removed": 0, "num_params": None, "params_added": None,
        "cost_usd": None, "started": 0.0, "settled": 1.0, "seconds": 1.0,
    }  # fmt: skip
    return ExperimentRow(**{**about, **numbers, **columns})


def group(by: str, key: str, **columns: Any) -> GroupSums:
    """Return the sums of a group of experiments without a keep."""
    counts = {"experiments": 0, "kept": 0, "scored": 0, "unmeasured": 0, "near_misses": 0, "failed": 0}
    costs = {"gain": 0.0, "minutes": 0.0, "minutes_per_keep": None, "cost_usd": 0.0, "cost_per_keep": None}
    return GroupSums(by, key, **{**counts, **costs, **columns})


def trial(purpose: str = "screen", outcome: str | None = "ok", **columns: Any) -> Trial:
    """Return a trial of the version with blob `b`."""
    keys = {"id": 1, "session_id": 1, "experiment_id": 1, "purpose": purpose, "outcome": outcome}
    times = {"train_seconds": 100.0, "setup_seconds": 2.0, "score_seconds": 5.0, "started": 0.0, "ended": 107.0}
    known = {
        "seed": 805995200,
        "blob": "b",
        "val_bpb": 2.1516,
        "grade": "STRONG",
        "num_params": 5e5,
        "peak_mb": 45056.0,
    }
    return Trial(**{**keys, **times, **known, "result": {}, **columns})
