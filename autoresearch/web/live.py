"""The running trial as the session's process tells of it in runs/<tag>/live.json, at most once a second."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MOST = 5000  # points that are shown


@dataclass(frozen=True)
class Running:
    """How far a trial is (0 to 1), and its curve as train.py told it: (share of the budget, loss)."""

    n: int
    purpose: str
    fraction: float
    curve: list[tuple[float, float]]
    tokens_per_second: float | None = None


def read(runs: Path, tag: str) -> Running | None:
    """What there is; None where no trial runs, or what is there is not what it should be."""
    try:
        found: Any = json.loads((runs / tag / "live.json").read_text())
        points = [(float(x), float(y)) for x, y in found["curve"][-MOST:]]
        curve = [point for point in points if all(map(math.isfinite, point))]
        share, speed = _finite(found["fraction"]), _finite(found.get("tokens_per_second"))
        return Running(int(found["n"]), str(found["purpose"]), min(max(share or 0.0, 0.0), 1.0), curve, speed)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return None


def _finite(value: Any) -> float | None:
    return float(value) if value is not None and math.isfinite(float(value)) else None
