"""Result of a trial, and its progress while it runs."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from autoresearch.files import JsonObject
from autoresearch.measure.audit import Coarse

OF_COMMANDS = ("resolution", "tasks")  # recorded only where there is a value
LOST = "lost_on"  # in the record of a trial: the id of the node with which it was lost
UNRECORDED = ("log", "rows", "losses", "cache_lost", "node", "loss")  # separate files; what is said at once; the place


@dataclass(frozen=True)
class NodeLoss:
    """A trial whose process ended on `node` (its id), while `others` could have run it."""

    node: str
    others: int


@dataclass(frozen=True)
class Progress:
    """Progress of a trial; `gpu` is the UUID of its card, where the caller has added it."""

    stage: str  # setup, train, score; over, where no event in the ledger says so
    fraction: float = 0.0
    values: dict[str, float] = field(default_factory=dict)
    gpu: str | None = None


@dataclass(frozen=True)
class Overhead:
    """What a trial spent beside its budget, in the budget's unit (0 for steps).

    `setup` is before `trial.start()`; `load` and `answer` are of the scoring cell that spent most. `uncounted` is what
    a script, which keeps its own clock, trained beyond the budget.
    """

    setup: float = 0.0
    load: float = 0.0
    answer: float = 0.0
    uncounted: float = 0.0


@dataclass(frozen=True)
class Behind:
    """Evidence from its curve that a trial has lost.

    `progress` is the part of the budget at which it was found, `delta` the expected difference to the incumbent in
    bits per byte, `odds` the probability that its score would have been good enough to go on with it.
    """

    progress: float
    delta: float
    odds: float
    reason: str


Watch = Callable[[Progress], None]


@dataclass
class Result:
    """Result of one trial. `val_bpb` is None unless `outcome` is ok: a failed trial has no score, never 0.

    `claimed` marks a score that lost before it was audited. `disturbed` marks a trial during which the referee was
    suspended, which is repeated unless it is ok, or other programs could have kept all cores of the machine busy.
    `ended_early` marks a trial that its caller did not want any more: it is `infra`, whatever it had measured. `behind`
    (fields of Behind) is what was found of a trial that was `stopped`, or that ran on all the same. Times are seconds,
    measured by the referee.
    """

    outcome: str = "crash"  # ok oom nan crash timeout nothing_saved suspect infra stopped invalid
    val_bpb: float | None = None
    reason: str = ""
    seed: int = 0
    claimed: bool = False
    disturbed: bool = False
    ended_early: bool = False
    setup_seconds: float = 0.0
    train_seconds: float = 0.0
    score_seconds: float = 0.0
    used: float = 0.0  # of the budget, in its unit, when training ended; 0 for steps
    total_seconds: float = 0.0
    spent: dict[str, float] = field(default_factory=dict)  # fields of Overhead
    score_se: float = 0.0
    holdout_bpb: float | None = None  # only of what may be kept, and never shown to an agent
    resolution: float | None = None  # value of the last digit of the number that a command printed
    tasks: dict[str, float] = field(default_factory=dict)  # scores by task, where the number is a rate
    peak_vram_mb: float | None = None
    parameters: int | None = None  # numbers in the checkpoint
    margin: float | None = None  # share of the budget that was left when it was saved; None for budgets in steps
    conditions: dict[str, float] = field(default_factory=dict)  # while it trained, by GpuMeter and CoreMeter
    grade: str = "NONE"
    weaknesses: list[str] = field(default_factory=list)
    layers: JsonObject = field(default_factory=dict)
    audit: dict[str, float] | None = None
    reported: dict[str, float] = field(default_factory=dict)
    guards: dict[str, float] = field(default_factory=dict)  # the numbers beside the metric that have a limit
    passed: bool = False  # all commands that are guards
    curve: list[dict[str, float]] = field(default_factory=list)
    behind: dict[str, float] | None = None
    cache_lost: str | None = None  # why the compile cache was not kept although it should be
    node: str | None = None  # that ran it; None: this machine
    loss: NodeLoss | None = None  # of a trial that ended with its process: it is `infra`, and repeated elsewhere
    log: str = ""
    rows: npt.NDArray[np.float64] | None = None  # [rows, 2]: nats and bytes
    losses: Coarse | None = None  # [rows, seq_len], of what passed its audit

    def end_early(self, reason: str) -> None:
        """Drop what was measured."""
        self.outcome, self.ended_early, self.reason = "infra", True, reason
        self.val_bpb = self.holdout_bpb = self.rows = self.losses = self.audit = None
        self.tasks = {}

    def place(self) -> JsonObject:
        """Return where the trial ran, for its record; empty on this machine."""
        lost = {LOST: self.loss.node} if self.loss is not None else {}
        return lost if self.node is None else {"node": self.node, **lost}

    def as_json(self) -> JsonObject:
        """Return the fields that are recorded; non-finite numbers become None."""
        facts = {name: _finite(value) for name, value in vars(self).items() if name not in UNRECORDED}
        return {name: value for name, value in facts.items() if value or name not in OF_COMMANDS}


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value
