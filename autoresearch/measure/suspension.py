"""Detect that the referee itself was suspended: by a signal, with its container, or with the whole machine.

A referee that was suspended cannot say what a trial did with its time.
"""

import threading

from autoresearch.measure.clock import since_boot

BEAT_S = 0.5
SUSPENDED_S = 5.0  # between two beats; a busy machine does not reach it


class SuspensionDetector:
    """Beat in a thread while entered; `missed_s` counts the seconds in which no beat was possible."""

    def __init__(self) -> None:
        self.missed_s = 0.0
        self._last = since_boot()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "SuspensionDetector":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        stopped = False
        while not stopped:
            stopped = self._stop.wait(BEAT_S)
            before, self._last = self._last, since_boot()
            if self._last - before > SUSPENDED_S:
                self.missed_s += self._last - before
