"""Detect a trial that does nothing: no messages, and no CPU time in its process tree."""

import os
import time

from autoresearch.sandbox.cleanup import descendants, stat_fields

SILENCE_LIMIT_S = 120.0
CPU_POLL_S = 5.0  # between two readings of the CPU times: seldom, for one reads all of /proc
ALIVE = 0.002  # share of one core; a process that sleeps and polls now and then stays below
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Watchdog:
    """Watch one process and those below it; `stopped_s` counts the seconds in which a signal had stopped it."""

    def __init__(self, pid: int) -> None:
        self.pid, self.silence_limit_s = pid, SILENCE_LIMIT_S
        self.stopped_s = 0.0
        self._last_sign = self._last_reading = self._last_check = time.monotonic()
        self._cpu = cpu_of_tree(pid)

    def note_message(self) -> None:
        """Take a message as a sign of life."""
        self._last_sign = self._last_check = time.monotonic()

    def is_silent(self) -> bool:
        """Return whether there was no sign of life for `silence_limit_s`; to be called while no message comes."""
        now = time.monotonic()
        if stat_fields(str(self.pid))[:1] == [b"T"]:  # its state: a signal has stopped it
            self.stopped_s += now - self._last_check
        self._last_check = now
        if now - self._last_reading >= min(CPU_POLL_S, self.silence_limit_s / 4):
            cpu = cpu_of_tree(self.pid)
            if cpu - self._cpu > ALIVE * (now - self._last_reading):
                self._last_sign = now
            self._cpu, self._last_reading = cpu, now
        return now - self._last_sign > self.silence_limit_s


def cpu_of_tree(pid: int) -> float:
    """Return the CPU seconds of a process and all below it, those of dead and reaped children included."""
    return sum(sum(map(int, stat_fields(str(each))[11:15])) for each in (pid, *descendants(pid))) / TICKS_PER_S
