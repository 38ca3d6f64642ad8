"""Candidates that are ready before a slot falls free, and several slots at work at once.

One *baton* goes round: whoever holds it works on the session, and puts it down only to wait, for a trial, for an agent
or for the others. So every step of the loop is alone with the ledger, and reads as if there were one slot only.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from autoresearch.ledger import Experiment

GLANCE = 0.5  # s between two looks at whether anything else has changed
NICE = 10  # of the agent's thread and of what it starts: the trial comes first
GRACE = 2.0  # s that an agent gets to end a thought when the session is over

Slot = TypeVar("Slot")


class SessionLock(threading.Condition):
    """Held by whoever works on the session."""

    @contextmanager
    def released(self) -> Iterator[None]:
        """Let the others work meanwhile."""
        self.release()
        try:
            yield
        finally:
            self.acquire()


class Pipeline:
    """Gives the next candidate, made ready by `prepare` (None: there was one, but it needs no trial).

    With `ahead` > 0 a thread of its own keeps that many ready, as long as `wanted(n)` says that one after `n` others is, on `cores` where they are
    given. With 0 a candidate is made when it is asked for: what an agent proposes then follows from all that was
    measured before. Call everything with the baton in hand.
    """

    def __init__(
        self,
        baton: SessionLock,
        prepare: Callable[[], Experiment | None],
        wanted: Callable[[int], bool],
        ahead: int = 0,
        cores: Sequence[int] = (),
    ) -> None:
        self.baton, self.prepare, self.wanted, self.ahead, self.cores = baton, prepare, wanted, ahead, cores
        self.ready: deque[Experiment] = deque()
        self._making = self._closed = False
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None

    def open(self, ready: Iterable[Experiment]) -> None:
        """Begin, with what is ready already."""
        self.ready = deque(ready)
        self._closed, self._failure, self._thread = False, None, None

    def next(self, hurried: Callable[[], bool] = lambda: False) -> Experiment | None:
        """The next candidate, waited for; None if `hurried` says meanwhile that none is wanted any more.

        Raises what `prepare` raised, once nothing is ready.
        """
        if self.ahead and self._thread is None:
            self._thread = threading.Thread(target=self._keep_ready, name="pipeline", daemon=True)
            self._thread.start()
        while not self.ready:
            if hurried():
                return None
            if self._failure is not None:
                raise self._failure
            if self.ahead or self._making:
                self.baton.wait(GLANCE)
            else:
                self._make()
        self.baton.notify_all()
        return self.ready.popleft()

    def close(self) -> None:
        """No more candidates; an agent that still thinks is left to itself."""
        self._closed = True
        if self._thread is not None:
            self.baton.notify_all()
            with self.baton.released():
                self._thread.join(GRACE)

    def _keep_ready(self) -> None:
        self._step_aside()
        with self.baton:
            while not self._closed and self._failure is None:
                if len(self.ready) < self.ahead and self.wanted(len(self.ready)):
                    self._make()
                else:
                    self.baton.wait(GLANCE)

    def _make(self) -> None:
        self._making = True
        try:
            made = self.prepare()
            if made is not None and not self._closed:
                self.ready.append(made)
        except Exception as failure:  # whoever asks for a candidate next gets it
            self._failure = failure
        finally:
            self._making = False
            self.baton.notify_all()

    def _step_aside(self) -> None:
        """This thread, and the programs that it starts, leave the trial alone."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
            if self.cores:
                os.sched_setaffinity(threading.get_native_id(), self.cores)


def everywhere(work: Callable[[Slot], str], slots: Sequence[Slot], baton: SessionLock, stop: Callable[[], None]) -> str:
    """Do `work` on all slots at once; what it returned last. With one slot it is done in this thread.

    Where one of them fails, `stop` tells the others, and its error is raised when they have ended. Call it with the
    baton in hand; after a KeyboardInterrupt nobody gets it again.
    """
    if len(slots) == 1:
        return work(slots[0])
    reasons: list[str] = []
    failures: list[BaseException] = []

    def on(slot: Slot) -> None:
        with baton:
            try:
                reasons.append(work(slot))
            except BaseException as failure:
                failures.append(failure)
                stop()
            baton.notify_all()

    threads = [threading.Thread(target=on, args=(slot,), daemon=True) for slot in slots]
    for thread in threads:
        thread.start()
    try:
        while len(reasons) + len(failures) < len(threads):
            baton.wait(GLANCE)
    except KeyboardInterrupt:
        baton.acquire()
        raise
    if failures:
        raise failures[0]
    return reasons[-1]


def spare(cores: Sequence[tuple[int, ...] | None]) -> tuple[int, ...]:
    """The cores of this machine that no slot uses; none where a slot may use any."""
    if None in cores:
        return ()
    taken = {core for some in cores for core in some or ()}
    return tuple(sorted(os.sched_getaffinity(0) - taken))
