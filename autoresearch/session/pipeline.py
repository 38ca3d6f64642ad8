"""Candidates that are prepared while trials run, and work on several slots at once.

All of it happens under the session lock: every step of the loop has the ledger to itself, and reads as if there were
one slot only.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from autoresearch.agents.base import Exhausted
from autoresearch.ledger import Experiment
from autoresearch.measure.referee import Referee
from autoresearch.session.lookahead import Lookahead
from autoresearch.session.stopping import SessionControl

Fill = Callable[[Callable[[], bool]], bool]  # runs a trial until it is unwanted; False if there is none to run
Prepare = Callable[[int, Callable[[Experiment], None]], None]  # makes up to so many candidates, and adds each

POLL_S = 0.5
NICENESS = 10  # of the pipeline's thread and of what it starts: the trial has priority
FILL_AFTER_S = 1.0  # of waiting for a candidate
GRACE_S = 2.0  # for the agent's last proposal when the session is over


class Pipeline:
    """Provide the next candidate to measure.

    With a `lookahead` a thread keeps as many candidates ready as that says, as long as they will be measured, on
    `cores` if there are any. Without one a candidate is made on request: the agent then knows every earlier result.
    Hold the lock when calling a method.
    """

    def __init__(self, control: SessionControl, lookahead: Lookahead | None, cores: Sequence[int]) -> None:
        self.lock, self.control, self.lookahead, self.cores = control.context.lock, control, lookahead, cores
        self._making = False
        self.start((), lambda wanted, add: None)

    def start(self, ready: Iterable[Experiment], prepare: Prepare) -> None:
        """Begin with ready candidates; `prepare` makes more."""
        self.ready, self._prepare, self._closed = deque(ready), prepare, False
        self._failure: Exception | None = None
        self._thread: threading.Thread | None = None
        self._fillers = deque[threading.Event]()  # set to end a filler, one for each that runs

    def begin(self) -> None:
        """Begin to prepare candidates ahead, if that is wanted and was not begun."""
        if self.lookahead and self._thread is None:
            self._thread = threading.Thread(target=self._keep_ready, name="pipeline", daemon=True)
            self._thread.start()

    def next(self, fill: Fill = lambda is_unwanted: False) -> Experiment | None:
        """Wait for the next candidate; None if the session is to stop or to pause meanwhile.

        While the agent works on it, `fill` runs a trial until that is unwanted; it returns False if it has none.
        Raises what `prepare` raised, once nothing is ready.
        """
        fill_at = time.monotonic() + FILL_AFTER_S
        self.begin()
        while not self.ready:
            if self.control.stop_reason() is not None or self.control.has_message():
                return None
            if self._failure is not None:
                raise self._failure
            if self.lookahead is None and not self._making:
                self._make(1)
            elif time.monotonic() < fill_at or not self._fill(fill):
                self.lock.wait(POLL_S)
        self.lock.notify_all()
        return self.ready.popleft()

    def put_first(self, candidates: Sequence[Experiment]) -> None:
        """Add candidates before the others."""
        self.ready.extendleft(reversed(candidates))
        self._end_fillers(len(candidates))

    def close(self) -> None:
        """Make no more candidates; an agent that is still at work is abandoned after `GRACE_S`."""
        self._closed = True
        self._end_fillers(len(self._fillers))
        if self._thread is not None:
            self.lock.notify_all()
            with self.lock.released():
                self._thread.join(GRACE_S)

    def _keep_ready(self) -> None:
        self._lower_priority()
        with self.lock:
            while not self._closed and self._failure is None:
                if wanted := self._wanted():
                    self._make(wanted)
                else:
                    self.lock.wait(POLL_S)

    def _wanted(self) -> int:
        """Return how many proposals to ask for now; 0 if enough are ready, or no more would be measured."""
        ready = len(self.ready)
        if self.lookahead is None or not self.control.wants_candidate(ready) or ready >= self.lookahead.ahead():
            return 0
        wanted = self.lookahead.proposals_wanted(ready)
        while wanted > 1 and not self.control.wants_candidate(ready + wanted - 1):
            wanted -= 1
        return wanted

    def _make(self, wanted: int) -> None:
        self._making = True
        try:
            self._prepare(wanted, self._add)
        except Exception as failure:  # raised in the thread that asks for the next candidate
            self._failure = failure
            self._end_fillers(len(self._fillers))
        finally:
            self._making = False
            self.lock.notify_all()

    def _add(self, candidate: Experiment) -> None:
        """Make a candidate available. Raises Exhausted if nobody will ask for it, so that no more are made."""
        if self._closed:
            raise Exhausted("the session is over")
        self.ready.append(candidate)
        self._end_fillers(1)
        self.lock.notify_all()

    def _fill(self, fill: Fill) -> bool:
        """Run a filler while the agent is at work, if a whole trial fits before the deadline."""
        if self.lookahead is None or not self._making or not self.control.wants_candidate(0):
            return False
        ended = threading.Event()
        self._fillers.append(ended)
        try:
            return fill(lambda: ended.is_set() or self.control.is_leisure_over())
        finally:
            if ended in self._fillers:
                self._fillers.remove(ended)

    def _end_fillers(self, count: int) -> None:
        """End the oldest fillers, whose slots then take a candidate."""
        for _ in range(min(count, len(self._fillers))):
            self._fillers.popleft().set()

    def _lower_priority(self) -> None:
        """Keep this thread, and the programs that it starts, from disturbing the trial."""
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
            if self.cores:
                os.sched_setaffinity(threading.get_native_id(), self.cores)


def run_on_slots(work: Callable[[Referee], str], referees: Sequence[Referee], control: SessionControl) -> str:
    """Do `work` on all slots at once, a single one in this thread; return why the session ends.

    An interrupt counts before a reason that holds for all slots, and that before the last one's own. If one slot
    fails, the others end too, and then the error is raised. Hold the lock when calling this; after a
    KeyboardInterrupt it is never released again.
    """
    if len(referees) == 1:
        return work(referees[0])
    lock, reasons = control.context.lock, list[str]()
    failures: list[BaseException] = []

    def serve(referee: Referee) -> None:
        with lock:
            try:
                reasons.append(work(referee))
            except BaseException as failure:
                failures.append(failure)
                control.ending = "error"
            lock.notify_all()

    threads = [threading.Thread(target=serve, args=(referee,), daemon=True) for referee in referees]
    for thread in threads:
        thread.start()
    try:
        while len(reasons) + len(failures) < len(threads):
            lock.wait(POLL_S)
    except KeyboardInterrupt:
        lock.acquire()
        raise
    if failures:
        raise failures[0]
    return "interrupted" if "interrupted" in reasons else control.ending or reasons[-1]


def spare_cores(cores_of_slots: Sequence[tuple[int, ...] | None]) -> tuple[int, ...]:
    """Return the cores that no slot uses; none if a slot may use any core (None)."""
    if None in cores_of_slots:
        return ()
    used = {core for cores in cores_of_slots for core in cores or ()}
    return tuple(sorted(os.sched_getaffinity(0) - used))
