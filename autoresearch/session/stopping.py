"""When a session ends, pauses, or takes on no more."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

from autoresearch import ledger
from autoresearch.ledger import Ledger, Session
from autoresearch.limits import RECENT, Limits
from autoresearch.pipeline import Baton

GOES_ON = ("interrupted", "stopped", "error")  # reasons after which the next `run` continues the session
POLL = 1.0  # s between two looks for messages while paused


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
        baton: Baton,
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
