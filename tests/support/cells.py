"""Helpers to start small programs in cells."""

import os
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from autoresearch.sandbox.cell import Cell
from autoresearch.sandbox.launch import CellSpec

ROOT = Path(__file__).resolve().parents[2]
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
CORE = sorted(os.sched_getaffinity(0))[
    WORKER % len(os.sched_getaffinity(0))
]  # else the trials of all workers would share one
NO_NAMESPACES = frozenset({"ns"})
END_TIMEOUT_S = 20.0  # an end takes a tenth of a second, but more beside a busy suite; every sleeper sleeps longer


def spec(code: str, *arguments: str, **options: Any) -> CellSpec:
    return CellSpec([sys.executable, "-I", "-c", textwrap.dedent(code), *arguments], **options)


def run(code: str, *arguments: str, seconds: float = END_TIMEOUT_S, **options: Any) -> tuple[int | None, str]:
    """Run a program in a cell to its end; return exit status and log."""
    with Cell.start(spec(code, *arguments, **options)) as cell:
        wait(lambda: not cell.is_running(), seconds)
        return cell.exit_status(), cell.log()


def wait(condition: Any, seconds: float = END_TIMEOUT_S) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return bool(condition())


def carrying(token: str) -> set[int]:
    """Return the processes on this machine that have `token` in their command line."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            if folder.name.isdigit() and token.encode() in (folder / "cmdline").read_bytes():
                found.add(int(folder.name))
        except OSError:
            continue
    return found
