"""The limits of one command: its timeout and, of `run`, the budget."""

import time

from autoresearch.measure.clock import Budget
from autoresearch.sandbox.cell import Cell


class CommandClock:
    """Clock of a command that has just started; `used` is of the budget at the last reading, seconds without one."""

    def __init__(self, cell: Cell, timeout_s: float, budget: Budget | None = None) -> None:
        self._cell, self._timeout_s, self._budget = cell, timeout_s, budget
        self._started, self._cpu_at_start = time.monotonic(), cell.cpu_seconds()
        self.used = 0.0

    def read(self) -> float:
        """Return the used share of the limit that is nearest; a limit is exceeded above 1."""
        wall = time.monotonic() - self._started
        in_cpu = self._budget is not None and self._budget.unit == "cpu"
        self.used = self._cell.cpu_seconds() - self._cpu_at_start if in_cpu else wall
        return max(wall / self._timeout_s, self.used / self._budget.amount if self._budget else 0.0)

    def describe_excess(self) -> str:
        """Say which limit was exceeded."""
        if self._budget is not None and self.used > self._budget.amount:
            unit = "CPU-seconds" if self._budget.unit == "cpu" else "s"
            return f"it used more than its budget of {self._budget.amount:g} {unit}"
        return f"it did not end within {self._timeout_s:g} s"
