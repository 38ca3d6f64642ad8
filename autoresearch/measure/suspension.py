"""Whether this program itself was stopped meanwhile: by a signal, with its container, or with the whole machine.

A referee that was away cannot say what a trial did with its time.
"""

import threading
from types import TracebackType

from autoresearch.measure.clock import since_boot

BEAT = 0.5  # s
AWAY = 5.0  # s between two beats; a busy machine does not get there


class SuspensionDetector:
    """Beats while it is entered; `missed` are the seconds in which it could not."""

    def __init__(self) -> None:
        self.missed = 0.0
        self._last = since_boot()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> "SuspensionDetector":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._stop.wait(BEAT):
            self._look()
        self._look()

    def _look(self) -> None:
        before, self._last = self._last, since_boot()
        if self._last - before > AWAY:
            self.missed += self._last - before
