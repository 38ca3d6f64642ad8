"""A trial that does nothing: it sends nothing, and neither it nor what it started uses the CPU."""

import os
import time
from pathlib import Path

from autoresearch.sandbox.cleanup import descendants

PATIENCE = 120.0  # s
LOOK = 5.0  # s between two looks at the CPU times: seldom, for one reads all of /proc
ALIVE = 0.002  # share of one core; a process that sleeps and looks around now and then stays below
TICKS = os.sysconf("SC_CLK_TCK")


class Watchdog:
    """Watches one process and those below it. `stopped` are the seconds in which a signal had stopped it."""

    def __init__(self, pid: int) -> None:
        self.pid, self.patience = pid, PATIENCE
        self.stopped = 0.0
        self._alive = self._looked = self._seen = time.monotonic()
        self._cpu = cpu_of_tree(pid)

    def heard(self) -> None:
        """There was a message."""
        self._alive = self._seen = time.monotonic()

    def silent(self) -> bool:
        """Whether there was no sign of life for `patience` seconds. To be asked while no message comes."""
        now = time.monotonic()
        if _state(self.pid) == "T":
            self.stopped += now - self._seen
        self._seen = now
        if now - self._looked >= min(LOOK, self.patience / 4):
            cpu = cpu_of_tree(self.pid)
            if cpu - self._cpu > ALIVE * (now - self._looked):
                self._alive = now
            self._cpu, self._looked = cpu, now
        return now - self._alive > self.patience


def cpu_of_tree(pid: int) -> float:
    """CPU seconds of a process and of all below it, dead ones that were waited for included."""
    return sum(sum(map(int, _stat(each)[11:15])) for each in (pid, *descendants(pid))) / TICKS


def _state(pid: int) -> str:
    """The letter that the kernel has for what a process does; T: a signal has stopped it."""
    return "".join(_stat(pid)[:1])


def _stat(pid: int) -> list[str]:
    """What follows the name in /proc/PID/stat; empty if the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
