"""Budgets, and the referee's clock.

`5m`, `300s`  wall-clock seconds of training
`15cpu`       CPU seconds of the trial's process, read from outside (`clock_gettime` on its CPU clock)
`200steps`    batches drawn: repeatable, for tests; not enforced by the clock
"""

import re
import time
from dataclasses import dataclass

from autoresearch.errors import UsageError
from autoresearch.sandbox.kernel import cpu_seconds

STEPS_WALL_LIMIT_S = 3600.0  # a trial counted in steps may not hang for ever
_BUDGET = re.compile(r"(\d+(?:\.\d+)?)(h|m|s|cpu|steps)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0}


@dataclass(frozen=True)
class Budget:
    """Budget of one training run: `amount` of `unit` (`s`, `cpu` or `steps`)."""

    amount: float
    unit: str

    @classmethod
    def parse(cls, text: str) -> "Budget":
        """Read `5m`, `300s`, `15cpu`, `200steps`. Raises UsageError."""
        match = _BUDGET.fullmatch(text.strip())
        if match is None or float(match[1]) <= 0:
            raise UsageError(f"cannot read the budget {text!r}: write it as 5m, 300s, 15cpu or 200steps")
        amount, unit = float(match[1]), match[2]
        if unit == "steps" and amount != int(amount):
            raise UsageError(f"cannot read the budget {text!r}: the number of steps must be an integer")
        return cls(amount * _SECONDS.get(unit, 1.0), unit if unit in ("cpu", "steps") else "s")

    def __str__(self) -> str:
        return f"{self.amount:g}{self.unit}"

    @property
    def wall_limit_s(self) -> float:
        """Return the wall-clock seconds until the bell in any unit: a trial that sleeps ends too."""
        return {"s": self.amount, "cpu": 4 * self.amount + 30, "steps": STEPS_WALL_LIMIT_S}[self.unit]

    @property
    def seconds(self) -> float:
        """Return the expected seconds of training, for plans and progress bars; 0 for steps."""
        return self.amount if self.unit != "steps" else 0.0

    @property
    def reserve(self) -> float:
        """Return the part of the budget that is reserved for `save` by default."""
        return 0.0 if self.unit == "steps" else 0.01 * self.amount + 0.05


def since_boot() -> float:
    """Return seconds on a clock that cannot be set, and that runs on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Clock:
    """Clock of one trial, started when made; `charged` is setup beyond its allowance, in the budget's unit."""

    def __init__(self, budget: Budget, pid: int, cores: int = 1, charged: float = 0.0) -> None:
        self.budget, self.pid, self.cores, self.charged = budget, pid, cores, charged
        self.started = time.monotonic()
        self.cpu_at_start = cpu_seconds(pid) or 0.0
        self.cpu_last = self.cpu_at_start

    def wall(self) -> float:
        return time.monotonic() - self.started

    def usage(self) -> float:
        """Return how much of the budget is used up; 0 for steps, which the clock does not see."""
        if self.budget.unit == "steps":
            return 0.0
        return self.charged + (self._cpu() if self.budget.unit == "cpu" else self.wall())

    def is_over(self) -> bool:
        """Return whether the bell has rung."""
        return self.usage() >= self.budget.amount or self.wall() >= self.budget.wall_limit_s

    def hit_wall_limit(self) -> bool:
        """Return whether the wall limit rang the bell, not the budget."""
        return self.budget.unit != "s" and self.wall() >= self.budget.wall_limit_s

    def longest_wait(self) -> float:
        """Return the seconds that one may wait without missing the bell."""
        wall_left = self.budget.wall_limit_s - self.wall()
        if self.budget.unit != "cpu":
            return max(0.0, wall_left - self.charged)
        return max(0.001, min(wall_left, (self.budget.amount - self.usage()) / self.cores))

    def _cpu(self) -> float:
        self.cpu_last = cpu_seconds(self.pid) or self.cpu_last
        return self.cpu_last - self.cpu_at_start
