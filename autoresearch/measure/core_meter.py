"""Speed of a slot's cores while a trial runs, by a kernel of the referee that no version can change.

Other programs slow a core: they share its execution units, its caches and its clock. A fixed product of small matrices
is timed four times a second, on the CPU clock of the thread that runs it. The cell is stopped meanwhile, so that only
the machine is measured. That costs the trial wall-clock time, but nothing of a budget in CPU seconds.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np

from autoresearch.measure.settings import Settings
from autoresearch.sandbox import kernel

INTERVAL_S = 0.25
WARM_RUNS, TIMED_RUNS = 80, 400  # 0.2 and 1 ms on a Xeon at 2.5 GHz; the first ones fill the caches
FEWEST_READINGS = 3  # fewer say nothing about a trial
STILL_SHARE = 0.05  # of the kernel's time that the cell may use: a thread that waits for a core stops when it gets one
MIN_USED_S = 1e-3  # a reading counts for at least so much, also where nothing trains
SPEED = "core_speed"  # in `Result.conditions`: runs of the kernel per CPU millisecond
OTHERS = "runnable"  # in `Result.conditions`: mean number of other threads on the machine that could run
_LOAD = Path("/proc/loadavg")
_MATRIX = np.linspace(-1.0, 1.0, 48 * 48, dtype=np.float32).reshape(48, 48)  # three of these fit into 28 KB


@dataclass(frozen=True)
class Reading:
    speed: float
    others: int
    used: float  # CPU seconds of the trial since the reading before, which this one stands for


class CoreMeter:
    """Read the speed of some cores (None: of all) while process `pid` trains on them, or while nothing does.

    `conditions` are means over the CPU time of the process, empty if there are too few readings.
    """

    def __init__(self, cores: Sequence[int] | None, pid: int | None = None) -> None:
        self.cores, self.pid = cores or sorted(os.sched_getaffinity(0)), pid
        self.readings: list[Reading] = []
        self._product = np.empty_like(_MATRIX)
        self._used = self._cpu()

    @property
    def conditions(self) -> dict[str, float]:
        if len(self.readings) < FEWEST_READINGS:
            return {}
        weights = [reading.used for reading in self.readings]
        speed = fmean((reading.speed for reading in self.readings), weights)
        return {SPEED: round(speed, 4), OTHERS: round(fmean(reading.others for reading in self.readings), 2)}

    @property
    def is_crowded(self) -> bool:
        """Return whether other programs alone could have kept all cores of the machine busy."""
        return self.conditions.get(OTHERS, 0.0) >= (os.cpu_count() or 1)

    def read(self) -> None:
        """Time the kernel on the next core, and count who else could run. The calling thread moves to that core."""
        os.sched_setaffinity(0, {self.cores[len(self.readings) % len(self.cores)]})
        with _stopped(self.pid):
            self._run(WARM_RUNS)
            before = self._cpu()
            seconds = self._run(TIMED_RUNS)
            after = self._cpu()
            others = int(_LOAD.read_text().split()[3].partition("/")[0]) - 1
        if after - before < STILL_SHARE * seconds:  # a cell that ran meanwhile could have slowed the kernel
            used, self._used = max(after - self._used, MIN_USED_S), after
            self.readings.append(Reading(TIMED_RUNS / seconds / 1000, max(0, others), used))

    def _cpu(self) -> float:
        return (0.0 if self.pid is None else kernel.cpu_seconds(self.pid)) or 0.0

    def _run(self, times: int) -> float:
        """Run the kernel; return the CPU seconds of this thread."""
        began = time.thread_time()
        for _ in range(times):
            np.matmul(_MATRIX, _MATRIX, out=self._product)
        return time.thread_time() - began


@contextmanager
def core_meter(settings: Settings, pid: int) -> Iterator[CoreMeter]:
    """Read the cores of a slot, in a thread, while process `pid` trains; only budgets in CPU seconds need it."""
    meter, stop = CoreMeter(settings.cores, pid), threading.Event()
    if settings.budget.unit != "cpu":
        yield meter
        return
    thread = threading.Thread(target=_read_until, args=(meter, stop), daemon=True)
    thread.start()
    try:
        yield meter
    finally:
        stop.set()
        thread.join()


def measure_idle_cores(cores: Sequence[int] | None, readings: int) -> dict[str, float]:
    """Return the conditions of cores on which no trial runs."""
    meter, never = CoreMeter(cores), threading.Event()

    def read() -> None:
        for _ in range(readings):
            meter.read()
            never.wait(INTERVAL_S / 5)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join()
    return meter.conditions


def _read_until(meter: CoreMeter, stop: threading.Event) -> None:
    with suppress(OSError):  # cores that this process may not use, or no /proc: the speed stays unknown
        while not stop.wait(INTERVAL_S):
            meter.read()


@contextmanager
def _stopped(pid: int | None) -> Iterator[None]:
    """Stop a process meanwhile. One that may not be stopped, or is gone, runs on."""
    try:
        process = None if pid is None else os.pidfd_open(pid)
    except OSError:
        process = None
    try:
        _send(process, signal.SIGSTOP)
        yield
    finally:
        _send(process, signal.SIGCONT)
        if process is not None:
            os.close(process)


def _send(process: int | None, number: signal.Signals) -> None:
    with suppress(OSError):
        if process is not None:
            signal.pidfd_send_signal(process, number)
