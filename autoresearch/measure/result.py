"""What a trial gives, and where it stands while it runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Progress:
    """Where a running trial stands, for whoever watches."""

    stage: str  # setup, train, score
    fraction: float = 0.0
    values: dict[str, float] = field(default_factory=dict)
    gpu: str | None = None  # UUID of the card that it runs on, where somebody has said so


Watch = Callable[[Progress], None]


@dataclass
class Result:
    """What a trial gave. `val_bpb` is None unless `outcome` is ok: a failed trial has no score, never 0.

    `claimed` marks a score that lost before it was audited, `disturbed` a trial during which the referee was stopped: it
    is worth repeating where it is not ok. Times are seconds, read by the referee.
    """

    outcome: str = "crash"  # ok oom nan crash timeout nothing_saved suspect infra
    val_bpb: float | None = None
    reason: str = ""
    seed: int = 0
    claimed: bool = False
    disturbed: bool = False
    setup_seconds: float = 0.0
    train_seconds: float = 0.0
    score_seconds: float = 0.0
    total_seconds: float = 0.0
    score_se: float = 0.0
    holdout_bpb: float | None = None  # only of what may be kept, and never told to an agent
    peak_vram_mb: float | None = None
    parameters: int | None = None  # numbers in the checkpoint
    conditions: dict[str, float] = field(default_factory=dict)  # of the GPU while it trained (machine.py)
    grade: str = "NONE"
    weaknesses: list[str] = field(default_factory=list)
    layers: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, float] | None = None
    reported: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    log: str = ""
    rows: npt.NDArray[np.float64] | None = None  # [rows, 2]: nats and bytes

    def as_json(self) -> dict[str, Any]:
        """Everything but the log and the rows, which are files of their own; what is not finite becomes None."""
        return {name: _finite(value) for name, value in vars(self).items() if name not in ("log", "rows")}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
