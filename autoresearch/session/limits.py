"""When a session stops by itself."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from autoresearch.measure.clock import since_boot

RECENT = 20  # trials that tell how long the next one takes


@dataclass
class Limits:
    """`until` is when to stop, on the clock of `since_boot`; `interrupted` is set by the first Ctrl-C."""

    until: float | None = None
    max_experiments: int | None = None
    interrupted: bool = False

    @property
    def deadline(self) -> float | None:
        """When to stop, in unix seconds: as the clock on the wall goes now."""
        left = self.left()
        return None if left is None else time.time() + left

    def reached(self, decided: int, trial_seconds: Sequence[float], reserve: float = 0.0) -> str | None:
        """The reason to stop now, if any: a trial that would end after the deadline is not begun.

        The last `reserve` seconds are kept free for something else.
        """
        if self.interrupted:
            return "interrupted"
        if self.too_late(trial_seconds, reserve):
            return "deadline"
        if self.max_experiments is not None and decided >= self.max_experiments:
            return "max experiments"
        return None

    def left(self) -> float | None:
        """Seconds until the deadline, if there is one."""
        return None if self.until is None else self.until - since_boot()

    def too_late(self, trial_seconds: Sequence[float], reserve: float = 0.0) -> bool:
        """Whether one more trial would end after the deadline, if it takes as long as the last `RECENT` ones."""
        left = self.left()
        return left is not None and _mean(trial_seconds) + reserve > left


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
