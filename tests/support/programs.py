"""The real program as its user starts it, and a running session to wait for and to signal."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from autoresearch.cli import main
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, Session, Trial

TIMEOUT_S = 240.0  # machines that run tests are busy


def autoresearch(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoresearch", *arguments]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=TIMEOUT_S)


def call_main(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Call a command in this process, which is much faster; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["autoresearch", *arguments])
    code: str | int | None = 0
    try:
        main()
    except SystemExit as end:
        code = end.code
    return int(code or 0)


def wait(condition: Callable[[], Any], what: str, seconds: float = TIMEOUT_S) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"still waiting for {what} after {seconds:.0f} s"
        time.sleep(0.02)
    return value


class RunningSession:
    """A running `autoresearch run`, observed through its ledger."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder, self.process = folder, process

    def session(self) -> Session | None:
        try:
            with Ledger.open(self.folder / "runs" / "ledger.db", readonly=True) as ledger:
                return ledger.session()
        except UserError:
            return None

    def trials(self, n: int) -> list[Trial]:
        """Return the trials of one experiment."""
        session = self.session()
        if session is None:
            return []
        with Ledger.open(self.folder / "runs" / "ledger.db", readonly=True) as ledger:
            experiment = ledger.experiment(session.id, n)
            return ledger.trials(session.id, experiment.id) if experiment else []

    def wait_for_trial(self, n: int) -> None:
        """Wait until a trial of experiment n trains."""
        wait(
            lambda: self.process.poll() is not None or any(t.outcome is None for t in self.trials(n)), f"a trial of {n}"
        )
        assert self.process.poll() is None, self.end()
        wait(lambda: len(self.children()) > 1, "its cell")

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self) -> None:
        """Send Ctrl-C as a terminal does, to the whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> tuple[int, str, str]:
        """Wait until it ends; return exit code, stdout and stderr."""
        out, err = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, out, err


@contextmanager
def start_session(folder: Path, env: dict[str, str], *arguments: str) -> Iterator[RunningSession]:
    """Run a session meanwhile, and kill it at the end if it still runs."""
    command = [sys.executable, "-m", "autoresearch", "run", *arguments]
    process = subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield RunningSession(folder, process)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def command_line(process: psutil.Process) -> str:
    """Return the words of a process's command; empty if it ends meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one, too
        return ""


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process has ended; a zombie has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def have_ended(processes: list[psutil.Process], seconds: float = 5.0) -> bool:
    """Wait until all processes have ended, and return whether they have; zombies count as ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if all(map(has_ended, processes)):
            return True
        time.sleep(0.02)
    return False
