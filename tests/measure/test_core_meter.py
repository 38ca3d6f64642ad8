"""The referee measures the speed of a slot's cores beside a trial, while the trial stands still."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.core_meter import OTHERS, SPEED, CoreMeter, core_meter, measure_idle_cores
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings
from autoresearch.sandbox.cleanup import stat_fields

SPIN = "import threading\nfor _ in range(2): threading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()"
READINGS = 40
CORE = (max(os.sched_getaffinity(0)),)


@pytest.fixture
def spinner() -> Iterator[int]:
    """A process whose threads use all the CPU time that they get, on every core."""
    process = subprocess.Popen([sys.executable, "-c", SPIN])
    yield process.pid
    process.kill()
    process.wait()


def in_thread(meter: CoreMeter, readings: int) -> None:
    """Read in a thread, which moves to the cores of the meter."""
    thread = threading.Thread(target=lambda: [meter.read() for _ in range(readings)])
    thread.start()
    thread.join()


def state(pid: int) -> bytes:
    return stat_fields(str(pid))[0]


def test_a_trial_in_cpu_seconds_knows_the_speed_of_its_core(bigram: str, bytes_data: Dataset) -> None:
    busy = bigram.replace("{})\n", "{})\n    while trial.progress < 1:\n        pass\n", 1)
    result = CellReferee(Settings(Budget.parse("2cpu"), eval_rows=64, cores=CORE), bytes_data).measure(busy, 1)
    assert result.outcome == "ok", result.reason
    assert result.conditions[SPEED] > 0
    assert result.conditions[OTHERS] >= 0
    assert result.used == pytest.approx(2, abs=0.3), "no budget pays for the kernel"


@pytest.mark.parametrize("budget", ["20steps", "2s"])
def test_other_budgets_do_not_stop_a_cell(budget: str, spinner: int) -> None:
    with core_meter(Settings(Budget.parse(budget)), spinner) as meter:
        threading.Event().wait(1.2)
    assert not meter.readings


def test_the_cell_is_stopped_while_the_kernel_runs_and_goes_on_afterwards(spinner: int) -> None:
    meter, runs = CoreMeter(CORE, spinner), []
    run = meter._run

    def watch(times: int) -> float:
        end = time.monotonic() + 20
        while state(spinner) != b"T" and time.monotonic() < end:  # it stops when it gets a core
            time.sleep(0.001)
        assert state(spinner) == b"T"
        runs.append(times)
        return run(times)

    meter._run = watch  # type: ignore[method-assign]
    in_thread(meter, 3)
    assert len(runs) == 6, "an error in the thread"
    assert len(meter.readings) == 3
    assert state(spinner) != b"T"


def test_a_reading_beside_a_cell_that_continues_itself_does_not_count(spinner: int) -> None:
    other = (min(os.sched_getaffinity(0)),)
    if other == CORE:
        pytest.skip("on one core the cell cannot run beside the kernel")
    meter, done = CoreMeter(other, spinner), threading.Event()

    def go_on() -> None:
        while not done.wait(0.0001):
            os.kill(spinner, signal.SIGCONT)

    thread = threading.Thread(target=go_on)
    thread.start()
    in_thread(meter, READINGS)
    done.set()
    thread.join()
    assert len(meter.readings) < READINGS


def test_a_cell_that_has_ended_is_no_error(spinner: int) -> None:
    meter = CoreMeter(CORE, spinner)
    os.kill(spinner, 9)
    in_thread(meter, READINGS)  # it may use some more CPU time until it is gone
    assert meter.conditions[SPEED] > 0


def test_cores_that_may_not_be_used_leave_the_speed_unknown(spinner: int) -> None:
    with core_meter(Settings(Budget.parse("5cpu"), cores=(4095,)), spinner) as meter:
        threading.Event().wait(0.4)
    assert meter.conditions == {}


def test_idle_cores_have_a_speed() -> None:
    assert measure_idle_cores(CORE, 3)[SPEED] > 0
