"""Candidates on their way from the slots that screen to those that confirm, in a session with two pools."""

from collections import deque
from collections.abc import Callable

from autoresearch.ledger import Experiment
from autoresearch.session.stopping import SessionControl

POLL_S = 0.5
MAX_WAITING = 2  # promoted candidates for each slot that confirms, before no more are screened
DRAINED = "max experiments"  # reason after which those that have begun are still confirmed


class Handover:
    """Pass promoted candidates on, and say when no more will come; hold the lock when calling a method."""

    def __init__(self, control: SessionControl) -> None:
        self._control, self._lock = control, control.context.lock
        self._promoted = deque[Experiment]()
        self._screening = self._confirming = 0  # slots at work
        self._reason = ""  # why the last slot that screens has ended

    def begin(self, screening: int, confirming: int) -> None:
        self._promoted.clear()
        self._screening, self._confirming = screening, confirming

    def end_of_slot(self, reason: str) -> None:
        """Note that a slot screens no more."""
        self._screening, self._reason = self._screening - 1, reason
        self._lock.notify_all()

    def has_screening_slots(self) -> bool:
        return self._screening > 0

    def add(self, experiment: Experiment) -> None:
        """Add a candidate that needs the confirming pool; it counts as begun."""
        self._promoted.append(experiment)
        self._control.busy += 1
        self._lock.notify_all()

    def has_waiting(self) -> bool:
        """Return whether a candidate waits. Needs no lock."""
        return bool(self._promoted)

    def wait_for_room(self) -> None:
        """Wait while many candidates wait to be confirmed already."""
        while len(self._promoted) >= MAX_WAITING * self._confirming and self._control.stop_reason() is None:
            self._lock.wait(POLL_S)

    def end_reason(self, reason: str | None) -> str | None:
        """Return why a slot that confirms ends: `reason`, unless candidates that have begun may still come."""
        if reason is not None and reason != DRAINED:
            return reason
        return (reason or self._reason) if not (self._promoted or self._screening) else None

    def next(self, fill: Callable[[], bool]) -> Experiment | None:
        """Wait for a promoted candidate; None if the session is to stop or pause, or if no more come.

        `fill` runs a trial until a candidate waits; it returns False if there is none to run.
        """
        while not self._promoted:
            if self.end_reason(self._control.stop_reason()) is not None or self._control.has_message():
                return None
            if not fill():
                self._lock.wait(POLL_S)
        self._control.busy -= 1
        self._lock.notify_all()
        return self._promoted.popleft()
