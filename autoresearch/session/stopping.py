"""When a session ends, pauses, or takes on no more."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from autoresearch import ledger
from autoresearch.ledger import Call, Ledger, Session
from autoresearch.measure.clock import since_boot
from autoresearch.session.pipeline import SessionLock

ESTIMATE_AFTER = 3  # experiments on which an estimate can stand

RECENT = 20  # trials that tell how long the next one takes

GOES_ON = ("interrupted", "stopped", "error")  # reasons after which the next `run` continues the session
POLL = 1.0  # s between two looks for messages while paused


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


class Steering:
    """Asks the clock, the limits and what the user posted. `tell(kind, n, text)` hears of a pause.

    `reserve()` are the seconds of the session's time that are kept for what comes after the loop, `busy` the experiments
    that are on a slot, `ending` the reason once there is one for all slots.
    """

    def __init__(
        self,
        row: Session,
        store: Ledger,
        limits: Limits,
        reserve: Callable[[], float],
        baton: SessionLock,
        tell: Callable[..., Any],
    ) -> None:
        self.row, self.ledger, self.limits = row, store, limits
        self.reserve, self.baton, self.tell = reserve, baton, tell
        self.busy = 0
        self.ending: str | None = None

    def over(self) -> str | None:
        """Why to stop now; None to go on. Waits here while the session is paused."""
        while (reason := self.due()) is None:
            if self.ledger.take(self.row.id, "stop"):
                self.ending = "stopped"
            elif not self._paused():
                return None
            else:
                self.baton.wait(POLL)
        return reason

    def due(self, before: int = 0) -> str | None:
        """Why not to begin another experiment, when `before` come before it."""
        if self.ending is not None:
            return self.ending
        taken = ledger.decided(self.ledger, self.row) + self.busy + before
        lasted = self._lasted()
        waits = before * fmean(lasted) if lasted else 0.0
        return self.limits.reached(taken, lasted, self.reserve() + waits)

    def wanted(self, before: int) -> bool:
        """Whether one more candidate would be measured, after those that come before it."""
        return self.row.state != "paused" and self.due(before) is None

    def too_late(self) -> bool:
        """Whether another trial would end after the session's time."""
        return self.limits.too_late(self._lasted(), self.reserve())

    def _lasted(self) -> list[float]:
        """Seconds of the last trials."""
        return ledger.lasted(self.ledger, self.row, RECENT)

    def _paused(self) -> bool:
        wishes = [*self.ledger.take(self.row.id, "pause"), *self.ledger.take(self.row.id, "unpause")]
        if wishes:
            latest = max(wishes, key=lambda event: event.id)
            self.row = self.ledger.update_session(self.row.id, state="paused" if latest.kind == "pause" else "running")
            self.tell("state", None, self.row.state)
        return self.row.state == "paused"


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def estimate_cost(calls: Sequence[Call], decided: int, seconds: float, left: float | None) -> str | None:
    """Dollars for an experiment so far, and for `left` more seconds at the pace of `decided` experiments in `seconds`.

    None where nothing was paid or a price is unknown.
    """
    costs = [call.cost_usd for call in calls]
    known = [cost for cost in costs if cost is not None]
    if not known or len(known) < len(costs) or not sum(known):
        return None
    each = sum(known) / decided
    words = f"${each:.3f} an experiment so far"
    if left is None or seconds <= 0:
        return words
    more = max(left, 0.0) / seconds * decided
    return f"{words}: about ${each * more:.2f} more for {more:.0f} experiments until the deadline"
