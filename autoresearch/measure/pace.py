"""Pace of a training loop, inside a cell: how much of the budget is spent, and whether another step fits.

A program may be ahead of its device: it queues work, and its steps look short. So the device catches up before the
clock is read: at each look near the end, and at a few looks before, which tell how far ahead the program can be.
"""

from collections.abc import Callable
from typing import Protocol

LONG_STEP_DECAY = 0.9  # factor on the longest step at each later look
RESERVED_SAVES = 2.0  # times of the rehearsal of `save` that are reserved for it
RESERVED_STEPS = 3  # and steps, on a device with a queue
SYNCHRONISED_SHARE = 0.02  # of the budget, before its reserve: each look waits for the device


class Queue(Protocol):
    """Work of a device, such as `torch.cuda`."""

    def synchronize(self) -> object:
        """Wait until everything that is queued is done."""


class Pace:
    """Clock of a training loop that looks at it once in each step.

    All times are in the unit of the budget, as `now` returns them. `save_time` is what the longest rehearsal of `save`
    took.
    """

    def __init__(self, budget: float, now: Callable[[], float], queue: Queue | None) -> None:
        self.budget, self.now, self.queue = budget, now, queue
        self.save_time = 0.0
        self._started_at = self._last = self._step = self._longest_wait = 0.0
        self._was_synchronised = False  # at the last look
        self._synchronise_below = 0.0 if queue is None else (1 - SYNCHRONISED_SHARE) * budget  # of what is left

    def start(self, charged: float) -> None:
        """Start the clock, with a part of the budget spent already."""
        self._started_at, self._last = self.now() - charged, charged

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
        """Return what is spent, and note the step since the last look."""
        spent, waited = self.now() - self._started_at, 0.0
        is_synchronised = self.budget - spent < self._synchronise_below
        if is_synchronised:
            waited = self.wait_for_device()
            spent += waited
            self._longest_wait = max(self._longest_wait, waited)
        step = spent - self._last - (0.0 if self._was_synchronised else waited)  # without the work of earlier steps
        self._step = max(step, LONG_STEP_DECAY * self._step)
        if is_synchronised:
            near_end = SYNCHRONISED_SHARE * self.budget + self._margin(reserve) + 2 * self._longest_wait
            self._synchronise_below = max(near_end, (self.budget - spent) / 2)
        self._last, self._was_synchronised = spent, is_synchronised
        return spent

    def _margin(self, reserve: float) -> float:
        """Return what must be left for another step, and to save after it."""
        steps = 1 if self.queue is None else RESERVED_STEPS
        return max(reserve + self._step, RESERVED_SAVES * self.save_time + steps * self._step)
