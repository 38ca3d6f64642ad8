"""Pace of a training loop, inside a cell: how much of the budget is spent, and whether another step fits.

A program may be ahead of its device: it queues work, and its steps look short. So at some looks, and at each one near
the end, the device catches up before the clock is read. In between, steps are taken to be as long as they were.
"""

from collections.abc import Callable
from typing import Protocol

LONG_STEP_DECAY = 0.9  # factor on the longest step at each later look that waits
RESERVED_SAVES = 2.0  # times of an earlier `save` that are reserved for the next one
RESERVED_STEPS = 3  # and steps, on a device with a queue
WAITING_SHARE = 0.02  # of the budget, before its reserve: each look waits for the device


class Queue(Protocol):
    """Work of a device, such as `torch.cuda`."""

    def synchronize(self) -> object:
        """Wait until everything that is queued is done."""


class Pace:
    """Clock of a training loop that looks at it once in each step.

    All times are in the unit of the budget, as `now` returns them. `save_time` is what the longest `save` took, or its
    rehearsal.
    """

    def __init__(self, budget: float, now: Callable[[], float], queue: Queue | None) -> None:
        self.budget, self.now, self.queue = budget, now, queue
        self.save_time = 0.0
        self._started_at = self._step = self._longest_wait = 0.0
        self._caught_up_at, self._looks = 0.0, -1  # at the last look that waited, and looks since then
        self._wait_below = budget  # of what is left

    def start(self, charged: float) -> None:
        """Start the clock, with a part of the budget spent already."""
        self._started_at, self._caught_up_at = self.now() - charged, charged

    def progress(self, reserve: float) -> float:
        """Return a fraction of the budget less `reserve`; 1 if another step would leave too little time to save."""
        spent = self._look(reserve)
        if self.budget - spent < self._margin(reserve):
            return 1.0
        return spent / (self.budget - max(reserve, RESERVED_SAVES * self.save_time))

    def wait_for_device(self) -> float:
        """Wait until the device has done what is queued; return the time that it took."""
        began = self.now()
        if self.queue is not None:
            self.queue.synchronize()
        return self.now() - began

    def _look(self, reserve: float) -> float:
        """Return what is spent, and note how long a step takes."""
        self._looks += 1
        spent = self.now() - self._started_at
        queued_until = self._caught_up_at + self._looks * self._step
        left = self.budget - max(spent, queued_until)
        if self.queue is None or self._step == 0 or left < self._wait_below:
            spent = self._catch_up(reserve)
        return spent

    def _catch_up(self, reserve: float) -> float:
        """Wait for the device; return what is spent then."""
        self._longest_wait = max(self._longest_wait, self.wait_for_device())
        spent = self.now() - self._started_at
        if self._looks:
            self._step = max((spent - self._caught_up_at) / self._looks, LONG_STEP_DECAY * self._step)
        near_end = WAITING_SHARE * self.budget + self._margin(reserve) + 2 * self._longest_wait
        self._wait_below = max(near_end, (self.budget - spent) / 2)
        self._caught_up_at, self._looks = spent, 0
        return spent

    def _margin(self, reserve: float) -> float:
        """Return what must be left for another step, and to save after it."""
        steps = 1 if self.queue is None else RESERVED_STEPS
        return max(reserve + self._step, RESERVED_SAVES * self.save_time + steps * self._step)
