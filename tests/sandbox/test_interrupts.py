"""Ctrl-C reaches the whole process group: a cell that is being started is not hurt."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

from support.cells import run

REPOSITORY = Path(__file__).parents[2]
CELLS = 25
STARTS_CELLS = f"""
    import signal
    from autoresearch.sandbox.cell import Cell
    from autoresearch.sandbox.launch import CellSpec
    signal.signal(signal.SIGINT, lambda *_: None)
    print("ready", flush=True)
    for _ in range({CELLS}):
        with Cell.start(CellSpec(["/bin/true"])) as cell:
            while cell.is_running():
                pass
            print(cell.exit_status(), flush=True)"""


def test_a_cell_that_is_being_started_survives_an_interrupt() -> None:
    command, env = [sys.executable, "-c", textwrap.dedent(STARTS_CELLS)], os.environ | {"PYTHONPATH": str(REPOSITORY)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdout=pipe, stderr=pipe, text=True, start_new_session=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        while process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate()
    assert out.split() == ["0"] * CELLS, err


def test_a_program_in_a_cell_can_be_interrupted() -> None:
    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    assert run(code) == (0, "False\n")
