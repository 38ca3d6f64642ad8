"""A tool stands still while a trial is scored."""

import threading
import time

import pytest
from support.cells import spec, wait

from autoresearch.sandbox.cell import Cell
from autoresearch.sandbox.kernel import cpu_seconds
from autoresearch.tools.scoring_gate import Busy, ScoringGate, StoppableCell

BUSY = "while True: pass"
WAKES_ITSELF = """
import ctypes, signal, time
libc, timer = ctypes.CDLL(None), ctypes.c_void_p()
signal.signal(signal.SIGCONT, lambda *_: None)
event = (ctypes.c_int * 16)(0, 0, signal.SIGCONT, 0)  # SIGEV_SIGNAL
libc.timer_create(1, event, ctypes.byref(timer))
libc.timer_settime(timer, 0, (ctypes.c_long * 4)(0, 100_000_000, 0, 100_000_000), None)
while True: pass
"""


def spent(cell: Cell) -> float:
    return cpu_seconds(cell.pid) or 0.0


def test_a_tool_runs_only_while_no_trial_is_scored() -> None:
    gate = ScoringGate()
    with Cell.start(spec(BUSY)) as cell, gate.running(cell) as tool:
        assert wait(lambda: spent(cell) > 0.01)
        before = tool.now()
        with gate.scoring():
            stopped = spent(cell)
            time.sleep(0.2)
            assert spent(cell) == stopped
            assert tool.now() - before < 0.15
        assert wait(lambda: spent(cell) > stopped) and cell.is_running()


def test_a_tool_that_wakes_itself_is_killed() -> None:
    gate = ScoringGate()
    with Cell.start(spec(WAKES_ITSELF, threads_only=True)) as cell, gate.running(cell) as tool:
        assert wait(lambda: spent(cell) > 0.05)
        with gate.scoring():
            wait(lambda: False, 0.5)
        assert tool.ran_on and not cell.is_running()


def test_no_tool_outlasts_the_session() -> None:
    gate = ScoringGate()
    with Cell.start(spec(BUSY)) as cell, gate.running(cell):
        gate.close()
        assert not cell.is_running()
        with pytest.raises(Busy, match="the session is over"), gate.running(cell):
            pass


def test_a_tool_waits_for_a_score_to_end() -> None:
    gate, began = ScoringGate(), threading.Event()

    def run() -> None:
        with Cell.start(spec(BUSY)) as cell, gate.running(cell):
            began.set()

    with gate.scoring():
        thread = threading.Thread(target=run)
        thread.start()
        assert not began.wait(0.5)
    assert began.wait(20)
    thread.join()


def test_a_tool_that_cannot_be_stopped_costs_one_score_and_does_not_close_the_gate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate = ScoringGate()
    with Cell.start(spec(BUSY)) as cell, gate.running(cell):
        with monkeypatch.context() as patch:
            patch.setattr(StoppableCell, "stop", lambda tool: 1 / 0)
            with pytest.raises(ZeroDivisionError), gate.scoring():
                pytest.fail("it was scored beside a tool")
        with gate.scoring():
            stopped = spent(cell)
        assert wait(lambda: spent(cell) > stopped)
