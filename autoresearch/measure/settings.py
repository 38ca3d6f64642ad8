"""Settings that all trials of a session share, and the plan of one trial."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoresearch.measure.audit import Coarse
from autoresearch.measure.clock import Budget
from autoresearch.measure.loss_curve import Point
from autoresearch.measure.result import Behind, Overhead, Watch

TRIES = 3  # of one step

MAX_CHECKPOINT_BYTES = 4 << 30
SETUP_LIMIT_S = {"cpu": 180.0, "cuda": 600.0}  # until the base has been measured
EVALUATION_LIMIT_S = 600.0  # of each phase, until the base has been measured
# what is free beside the budget: work that is hidden there gains no more than this
BASE_FACTOR = 1.5  # setup, and loading, in multiples of the base's
FREE_SHARE = 0.1  # and a share of the budget
FREE_SETUP_S = 30.0  # that share of a long budget is no more for setup
ANSWER_FACTOR = 3.0  # answering, in multiples of what the version's own batch before the text promised
ANSWER_SHARE = 0.02  # and a share of the budget, against the jitter of short measurements
JITTER_S = 0.3  # of a short budget it is more
ANSWER_BASE_FACTOR = 6.0  # answering, in multiples of the base's, or FREE_SHARE of the budget if that is more
CONFIRM, SCREEN = "confirm", "screen"  # the pools of a session that has two


def jitter(budget: Budget) -> float:
    """Return what the measurement of short times may be wrong by, in the budget's unit."""
    return max(ANSWER_SHARE * budget.amount, JITTER_S)


@dataclass(frozen=True)
class Settings:
    """Settings of all trials on one slot; a score follows from (source, seed, settings, data).

    `cores` are the CPU cores of the slot, `gpu` is the UUID of its card, `memory` is in bytes. `eval_rows` rows of a
    split are scored, `audit` positions of them are audited. `caches` is the folder of the base's compile cache.
    `private` if the reason of a crash must not hold words of train.py, which could quote the training text. `pool` is
    `confirm` or `screen` where a session has two.
    """

    budget: Budget
    device: str = "cpu"
    threads: int = 1
    cores: tuple[int, ...] | None = None
    gpu: str | None = None
    memory: int | None = None
    eval_rows: int = 2048
    eval_batch: int = 32
    audit: int = 1024
    caches: Path | None = None
    layers_off: frozenset[str] = frozenset()
    private: bool = False
    pool: str | None = None


class Unwanted(Exception):
    """The caller does not want the trial any more."""


@dataclass(frozen=True)
class TrialPlan:
    """Everything that the caller asks of one trial.

    A claim above `loses_above` is not audited. A score for which `wants_holdout` is true is measured on the holdout
    split too. Both are asked about scores less `speed_cost`, which is what the speed of the machine added to them, by
    the conditions of the trial. Guards that are commands run if the score `checks_guards`. `audit_factor` multiplies
    the number of audited positions; with `incumbent_losses`, the claim of the version that this one has to beat, half
    of them are drawn where this one claims less. With `keep_caches`, the compile cache of the training cell is stored
    in `Settings.caches`. `keep_checkpoint` is called with the descriptor of the sealed checkpoint, which is closed
    afterwards. `watch` is called with the progress. The trial ends early as soon as `is_unwanted`, which is asked
    several times a second; one that waits for a free node, once `is_wait_over`. `find_behind` gets the part of the
    budget that is used up, and the curve so far; a trial that it finds behind is stopped, unless it `runs_on`. `base`
    is what the base spent (None until it has been measured); the time limits follow from it. `tasks` are those of the
    base, where the number is a rate over tasks; a trial with others is invalid. `avoid` are nodes on which a trial of
    the version was lost.
    """

    loses_above: float | None = None
    wants_holdout: Callable[[float], bool] = lambda val_bpb: False
    checks_guards: Callable[[float], bool] = lambda val_bpb: True
    audit_factor: int = 1
    incumbent_losses: Coarse | None = None
    keep_caches: bool = False
    keep_checkpoint: Callable[[int], None] = lambda fd: None
    watch: Watch = lambda progress: None
    is_unwanted: Callable[[], bool] = lambda: False
    is_wait_over: Callable[[], bool] = lambda: False
    find_behind: Callable[[float, Sequence[Point]], Behind | None] = lambda progress, curve: None
    runs_on: bool = False
    base: Overhead | None = None
    tasks: frozenset[str] = frozenset()
    speed_cost: Callable[[dict[str, float]], float] = lambda conditions: 0.0
    avoid: frozenset[str] = frozenset()

    def check_wanted(self) -> None:
        """Raise Unwanted if the trial is not wanted any more."""
        if self.is_unwanted():
            raise Unwanted

    def setup_limit(self, device: str) -> float:
        """Return the seconds that setup may take: an architecture may take three times as long to compile as the base.

        The base of a card has no such measure: it compiles serially in some containers, and has more to compile.
        """
        return SETUP_LIMIT_S[device] if self.base is None else max(SETUP_LIMIT_S["cpu"], 3 * self.base.setup)

    def free_setup(self, budget: Budget) -> float:
        """Return how much setup is not charged to the budget, in its unit; infinity for the base."""
        if self.base is None:
            return math.inf
        return BASE_FACTOR * self.base.setup + min(FREE_SETUP_S, FREE_SHARE * budget.amount)

    def charge_setup(self, spent: float, budget: Budget) -> float:
        """Return how much of the setup is charged to the budget, in its unit."""
        return max(0.0, spent - self.free_setup(budget))

    def bell_of_script(self, budget: Budget, device: str) -> Budget:
        """Return when a script is ended that keeps its own clock, from its first batch on.

        It counts the budget after some steps, in which it compiles. The human's base may take long for them.
        """
        if budget.unit == "steps":
            return budget
        if self.base is None:
            return replace(budget, amount=budget.amount + SETUP_LIMIT_S[device])
        free = BASE_FACTOR * self.base.uncounted + min(FREE_SETUP_S, FREE_SHARE * budget.amount)
        return replace(budget, amount=budget.amount + free)

    def load_limit(self, budget: Budget) -> Budget:
        """Return the limit on `load` and the first forward passes of a cell that scores."""
        if self.base is None or budget.unit == "steps":
            return Budget(EVALUATION_LIMIT_S, "s")
        return Budget(BASE_FACTOR * self.base.load + FREE_SHARE * budget.amount, budget.unit)

    def answer_limit(self, budget: Budget, batch: float, batches: int) -> Budget:
        """Return the limit on answering `batches` batches, of which one took `batch` before the text arrived."""
        if self.base is None or budget.unit == "steps":
            return Budget(EVALUATION_LIMIT_S, "s")
        own = ANSWER_FACTOR * batch * batches + jitter(budget)
        most = max(ANSWER_BASE_FACTOR * self.base.answer, FREE_SHARE * budget.amount)
        return Budget(min(own, most), budget.unit)
