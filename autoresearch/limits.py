"""When a session stops by itself."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

RECENT = 20  # trials that tell how long the next one takes


@dataclass
class Limits:
    """`deadline` is in unix seconds; `interrupted` is set by the first Ctrl-C."""

    deadline: float | None = None
    max_experiments: int | None = None
    interrupted: bool = False

    def reached(self, decided: int, trial_seconds: Sequence[float]) -> str | None:
        """The reason to stop now, if any: a trial that would end after the deadline is not begun."""
        if self.interrupted:
            return "interrupted"
        if self.too_late(trial_seconds):
            return "deadline"
        if self.max_experiments is not None and decided >= self.max_experiments:
            return "max experiments"
        return None

    def left(self) -> float | None:
        """Seconds until the deadline, if there is one."""
        return None if self.deadline is None else self.deadline - time.time()

    def too_late(self, trial_seconds: Sequence[float]) -> bool:
        """Whether one more trial would end after the deadline, if it takes as long as the last ones."""
        return self.deadline is not None and time.time() + _mean(trial_seconds[-RECENT:]) > self.deadline


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0
