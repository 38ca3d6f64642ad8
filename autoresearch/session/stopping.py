"""When a session stops, pauses, or takes on no more experiments."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from autoresearch.ledger import Call, count_settled, trial_seconds
from autoresearch.ledger.rows import RESUMABLE
from autoresearch.measure.clock import since_boot
from autoresearch.measure.facts import repetition_warning
from autoresearch.report.format import price_later
from autoresearch.session.context import SessionContext

ESTIMATE_AFTER_EXPERIMENTS = 3  # enough for an estimate of the cost
POLL_S = 1.0  # between two looks for messages while paused


class Interrupted(Exception):
    """The user wants to stop now; the experiment goes on with the next `run`."""


@dataclass
class Limits:
    """Limits of a run: `until` is on the clock of `since_boot`, `target` is a score, Ctrl-C sets `interrupted`."""

    until: float | None = None
    max_experiments: int | None = None
    target: float | None = None
    interrupted: bool = False

    @property
    def deadline(self) -> float | None:
        """Return when to stop, in unix seconds by the wall clock as it is set now."""
        left = self.seconds_left()
        return None if left is None else time.time() + left

    def stop_reason(self, decided: int, trial_seconds: Sequence[float], reserve_s: float = 0.0) -> str | None:
        """Return the reason to stop now: a trial would end less than `reserve_s` before the deadline."""
        if self.interrupted:
            return "interrupted"
        if self.is_too_late(trial_seconds, reserve_s):
            return "deadline"
        if self.max_experiments is not None and decided >= self.max_experiments:
            return "max experiments"
        return None

    def seconds_left(self) -> float | None:
        return None if self.until is None else self.until - since_boot()

    def is_too_late(self, trial_seconds: Sequence[float], reserve_s: float = 0.0) -> bool:
        """Return whether a trial of the mean duration would end after the deadline."""
        left = self.seconds_left()
        return left is not None and _mean(trial_seconds) + reserve_s > left


@dataclass
class SessionControl:
    """Apply the limits and the user's messages to a session."""

    context: SessionContext
    limits: Limits
    reserve_s: Callable[[], float]  # seconds that are kept for what comes after the loop
    busy: int = 0  # experiments that are on a slot
    ending: str | None = None  # reason to stop, once it holds for all slots

    def wait_while_paused(self) -> str | None:
        """Wait while the session is paused; return the reason to stop, if any."""
        while (reason := self.stop_reason()) is None:
            if self._take_stop():
                self.ending = "stopped"
            elif not self._is_paused():
                return None
            else:
                self.context.lock.wait(POLL_S)
        return reason

    def is_interrupted(self) -> bool:
        """Return whether a running experiment must wait for the next `run`; a `stop` lets it end."""
        return not self.is_over() and (self.limits.interrupted or self.ending == "error")

    def is_over(self) -> bool:
        """Return whether running experiments are settled without another trial."""
        return self.ending is not None and self.ending not in RESUMABLE

    def is_wait_over(self, purpose: str) -> bool:
        """Return whether a trial that waits for a node must end: the session is to end. Needs no lock."""
        is_late = purpose != "base" and self.is_too_late()
        is_stopping = self.ending is not None or self.context.ledger.has_message(self.context.id, "stop")
        return self.limits.interrupted or is_stopping or is_late

    def is_leaving(self) -> bool:
        """Take a message to stop; return whether an experiment without a node waits for the next `run`."""
        if self.ending is None and self._take_stop():
            self.ending = "stopped"
        return self.limits.interrupted or self.ending in RESUMABLE

    def _take_stop(self) -> bool:
        """Take one message to stop, if there is one: a second one leaves the honest total out."""
        return bool(self.context.ledger.take(self.context.id, "stop", most=1))

    @property
    def interruption(self) -> str:
        """Return why an experiment waits for the next `run`."""
        return "interrupted" if self.limits.interrupted else self.ending or "interrupted"

    def stop_reason(self, queued: int = 0) -> str | None:
        """Return the reason not to begin an experiment after `queued` others, if any."""
        if self.ending is not None:
            return self.ending
        count = count_settled(self.context.ledger, self.context.row) + self.busy + queued
        seconds = self._trial_seconds()
        return self.limits.stop_reason(count, seconds, self.reserve_s() + queued * _mean(seconds))

    def wants_candidate(self, queued: int) -> bool:
        """Return whether another candidate would be measured after `queued` others."""
        return self.context.row.state != "paused" and self.stop_reason(queued) is None

    def is_too_late(self) -> bool:
        return self.limits.is_too_late(self._trial_seconds(), self.reserve_s())

    def is_leisure_over(self) -> bool:
        """Return whether a filler must end: the session is to end or to pause. Needs no lock."""
        left = self.limits.seconds_left()
        is_late = left is not None and left <= self.reserve_s()
        return is_late or self.limits.interrupted or self.ending is not None or self.has_message()

    def has_message(self) -> bool:
        """Return whether the user has asked for a pause or a stop that did not begin yet."""
        return self.context.ledger.has_message(self.context.id, "pause", "stop")

    def report_cost(self, n: int) -> None:
        """Emit an estimate of the session's cost, after `n` experiments."""
        context, left = self.context, self.limits.seconds_left()
        seconds = time.time() - (context.experiment(0).settled or context.row.created)
        if words := estimate_cost(context.ledger.calls(context.id), n, seconds, left):
            context.emit("cost", n, words)

    def _trial_seconds(self) -> list[float]:
        return trial_seconds(self.context.ledger, self.context.row)

    def _is_paused(self) -> bool:
        """Take the user's messages to pause and to go on; the latest counts."""
        context = self.context
        messages = [*context.ledger.take(context.id, "pause"), *context.ledger.take(context.id, "unpause")]
        if messages:
            latest = max(messages, key=lambda event: event.id)
            state = "paused" if latest.kind == "pause" else "running"
            context.ledger.update_session(context.id, state=state)
            context.emit("state", None, state)
        return context.row.state == "paused"


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def estimate_cost(calls: Sequence[Call], decided: int, seconds: float, left: float | None) -> str | None:
    """Describe the cost of an experiment, and of `left` more seconds.

    The pace is that of `decided` experiments in `seconds`. None if nothing was paid.
    """
    if unpriced := sorted({call.model or "model" for call in calls if call.cost_usd is None}):
        return f"cost unknown: {price_later(unpriced)}"
    paid = [call.cost_usd or 0.0 for call in calls]
    if not sum(paid):
        return None
    each = sum(paid) / decided
    words = f"${each:.3f} an experiment so far"
    if left is None or seconds <= 0:
        return words
    more = max(left, 0.0) / seconds * decided
    return f"{words}: about ${each * more:.2f} more for {more:.0f} experiments until the deadline"


def report_repetition(context: SessionContext) -> None:
    """Emit a warning if the base read its training data many times in one budget."""
    base = context.ledger.experiment(context.id, 0)
    trials = context.ledger.trials(context.id, base.id) if base else []
    warnings = (repetition_warning(trial.result) for trial in trials if trial.outcome == "ok")
    if warning := next(warnings, None):
        context.emit("data", None, warning)
