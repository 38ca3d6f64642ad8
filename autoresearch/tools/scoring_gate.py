"""Keep the cells of tools and the validation text apart: a tool stands still while a trial is scored.

A cell that holds validation text could signal it to a cell that runs beside it by the load that it puts on a cache, and
what a tool prints goes to a model. A cell that does not run observes nothing.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from autoresearch.sandbox import listener
from autoresearch.sandbox.cell import Cell
from autoresearch.sandbox.kernel import cpu_seconds

STOPPED_S = 0.02  # CPU time that a cell may seem to use while it is stopped
MAX_WAIT_S = 60.0  # for a score to end, before a tool starts


class Busy(Exception):
    """A tool cannot start: the session is over, or trials are being scored for too long."""


class StoppableCell:
    """A cell of one process that can be stopped and continued; `ran_on` if it ran while it was stopped."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.stopped_s = 0.0
        self.ran_on = False
        self._since: float | None = None
        self._cpu: float | None = None

    def now(self) -> float:
        """Return seconds on a clock that stands still while the cell is stopped."""
        since = self._since
        return (time.monotonic() if since is None else since) - self.stopped_s

    def stop(self) -> None:
        """Stop the cell; kill it if it does not stop."""
        self._since = time.monotonic()
        try:
            listener.stop(self.cell.pid)
        except TimeoutError:
            self._kill()
        self._cpu = cpu_seconds(self.cell.pid)

    def resume(self) -> None:
        """Let the cell go on, if it has stood still."""
        if self._since is None:
            return
        self.check()
        self.stopped_s += time.monotonic() - self._since
        self._since = None
        with suppress(OSError):
            os.kill(self.cell.pid, signal.SIGCONT)

    def check(self) -> None:
        """Kill the cell if it has run although it is stopped, as a timer of its own can make it."""
        if self._since is None or self._cpu is None:
            return
        spent = cpu_seconds(self.cell.pid)
        if spent is None or spent - self._cpu > STOPPED_S:
            self._kill()

    def _kill(self) -> None:
        self.ran_on = True
        self.cell.kill()


class ScoringGate:
    """Let either trials be scored, or a tool run. One gate serves a session; safe to use from several threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._scoring = 0
        self._closed = False
        self._tools: list[StoppableCell] = []

    def close(self) -> None:
        """Kill all tools, and let no other start."""
        with self._changed:
            self._closed = True
            for tool in self._tools:
                tool.cell.kill()

    @contextmanager
    def scoring(self) -> Iterator[None]:
        """Stop all tools while a trial is scored."""
        with self._changed:
            self._scoring += 1
            try:
                if self._scoring == 1:
                    for tool in self._tools:
                        tool.stop()
            except BaseException:  # one that cannot be killed: this trial is not scored, and the next one tries again
                self._end_scoring()
                raise
        try:
            yield
        finally:
            with self._changed:
                self._end_scoring()

    def _end_scoring(self) -> None:
        self._scoring -= 1
        if self._scoring == 0:
            for tool in self._tools:
                tool.resume()
        self._changed.notify_all()

    @contextmanager
    def running(self, cell: Cell) -> Iterator[StoppableCell]:
        """Wait until no trial is scored; then the untrusted program of `cell` may start. Raises Busy."""
        tool = StoppableCell(cell)
        with self._changed:
            if not self._changed.wait_for(lambda: self._scoring == 0, MAX_WAIT_S):
                raise Busy(f"trials have been scored for {MAX_WAIT_S:.0f} s: try again later")
            if self._closed:
                raise Busy("the session is over")
            self._tools.append(tool)
        try:
            yield tool
        finally:
            with self._changed:
                tool.check()
                self._tools.remove(tool)
