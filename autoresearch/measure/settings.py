"""Settings that all trials of a session share, and the plan of one trial."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoresearch.measure.audit import Coarse
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Watch

TRIES = 3  # of one step

MAX_CHECKPOINT_BYTES = 4 << 30
SETUP_LIMIT_S = 180.0  # until the base has been measured
EVALUATION_LIMIT_S = 600.0  # until the base has been measured


@dataclass(frozen=True)
class Settings:
    """Settings of all trials on one slot; a score follows from (source, seed, settings, data).

    `cores` are the CPU cores of the slot, `gpu` is the UUID of its card, `memory` is in bytes. `eval_rows` rows of a
    split are scored, `audit` positions of them are audited. `caches` is the folder of the base's compile cache.
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


@dataclass(frozen=True)
class TrialPlan:
    """Everything that the caller asks of one trial.

    A claim above `loses_above` is not audited. A score for which `wants_holdout` is true is measured on the holdout
    split too. `audit_factor` multiplies the number of audited positions; with `incumbent_losses`, the claim of the
    version that this one has to beat, half of them are drawn where this one claims less. With `keep_caches`, the
    compile cache of the training cell is stored in `Settings.caches`. `keep_checkpoint` is called with the descriptor
    of the sealed checkpoint, which is closed afterwards. `watch` is called with the progress. `base_setup_s` and
    `base_score_s` are the seconds that the base took (None until it has been measured); the time limits follow from
    them.
    """

    loses_above: float | None = None
    wants_holdout: Callable[[float], bool] = lambda val_bpb: False
    audit_factor: int = 1
    incumbent_losses: Coarse | None = None
    keep_caches: bool = False
    keep_checkpoint: Callable[[int], None] = lambda fd: None
    watch: Watch = lambda progress: None
    base_setup_s: float | None = None
    base_score_s: float | None = None

    @property
    def setup_limit_s(self) -> float:
        """Return the limit on setup: an architecture may take three times as long to compile as the base."""
        return max(SETUP_LIMIT_S, 3 * (self.base_setup_s or 0.0))

    @property
    def free_setup_s(self) -> float:
        """Return the seconds of setup that are not charged to the budget."""
        return self.setup_limit_s if self.base_setup_s is None else 1.5 * self.base_setup_s + 30.0

    @property
    def evaluation_limit_s(self) -> float:
        return EVALUATION_LIMIT_S if self.base_score_s is None else max(30.0, 3 * self.base_score_s)
