"""What is equal for every trial of a session: the budget, the device, what is evaluated and how."""

from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.measure.clock import Budget
from autoresearch.measure.warm_cells import WarmCells

TRIES = 3  # of one step

CHECKPOINT_LIMIT = 4 << 30  # bytes
SETUP_CAP = 180.0  # s, before the base's own setup is known
EVALUATION_CAP = 600.0  # s, before the base's own evaluation is known


@dataclass(frozen=True)
class Settings:
    """How to run and score one trial; a trial is a function of (source, seed, these, the data).

    `cores` are the CPU cores of the slot, `gpu` the UUID of its card. `base_setup` and `base_score` are what the
    base took in seconds (None until it has been measured); the caps on later trials follow from them. `caches` is
    where the base's compile cache is kept. `lobby` holds cells that were started ahead.
    """

    budget: Budget
    device: str = "cpu"
    threads: int = 1
    cores: tuple[int, ...] | None = None
    gpu: str | None = None
    memory: int | None = None
    eval_rows: int = 512
    eval_batch: int = 32
    audit: int = 1024
    base_setup: float | None = None
    base_score: float | None = None
    caches: Path | None = None
    layers_off: frozenset[str] = frozenset()
    lobby: WarmCells | None = field(default=None, compare=False)

    @property
    def setup_cap(self) -> float:
        """Seconds that setup may take: compiling an architecture may cost three times the base's."""
        return max(SETUP_CAP, 3 * (self.base_setup or 0.0))

    @property
    def setup_free(self) -> float:
        """Seconds of setup that are not charged to the budget."""
        return self.setup_cap if self.base_setup is None else 1.5 * self.base_setup + 30.0

    @property
    def evaluation_cap(self) -> float:
        """Seconds that one evaluating cell may take."""
        return EVALUATION_CAP if self.base_score is None else max(30.0, 3 * self.base_score)
