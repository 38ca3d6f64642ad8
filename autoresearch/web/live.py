"""The running trial as the session's process tells of it in runs/<tag>/live.json, at most once a second."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST = 5000  # points that are shown


@dataclass(frozen=True)
class Running:
    """How far a trial is, and its curve as train.py told it: (share of the budget, loss)."""

    n: int
    purpose: str
    seed: int
    progress: float
    curve: list[tuple[float, float]]


def read(runs: Path, tag: str) -> Running | None:
    """What there is; None where no trial runs, or what is there is not what it should be."""
    try:
        found: Any = json.loads((runs / tag / "live.json").read_text())
        points = [(float(x), float(y)) for x, y in found["curve"][-MOST:]]
        share = float(found["progress"])
        progress = min(max(share, 0.0), 1.0) if math.isfinite(share) else 0.0
        curve = [point for point in points if all(map(math.isfinite, point))]
        return Running(int(found["n"]), str(found["purpose"]), int(found["seed"]), progress, curve)
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return None
