"""The real program in a pseudo-terminal."""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support.programs import TIMEOUT_S


class Terminal:
    """A program whose standard streams are a terminal; `text` is its whole output."""

    def __init__(self, process: subprocess.Popen[bytes], master: int) -> None:
        self.process, self.master = process, master
        self.text = ""
        os.set_blocking(master, False)

    def read(self) -> bool:
        """Read available output; return False once the terminal is closed."""
        try:
            self.text += os.read(self.master, 1 << 16).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return False
        return True

    def until(self, condition: Callable[[str], object]) -> str:
        """Wait until a condition holds for the output, and return the output."""
        deadline = time.monotonic() + TIMEOUT_S
        while not condition(self.text):
            assert self.read() and time.monotonic() < deadline, self.text
        return self.text

    def end(self) -> tuple[int, str]:
        """Wait for the end; return exit code and output."""
        deadline = time.monotonic() + TIMEOUT_S
        while self.read():
            assert time.monotonic() < deadline, self.text
        return self.process.wait(TIMEOUT_S), self.text

    def press(self, keys: bytes) -> None:
        """Type keys; b"\\x03" is Ctrl-C."""
        os.write(self.master, keys)

    def resize(self, columns: int, rows: int) -> None:
        """Resize as a window manager does: the program gets SIGWINCH."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def _take_terminal() -> None:
    """Make stdin the controlling terminal of the child; Ctrl-C ends it, also for background tests."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def terminal(
    folder: Path, *arguments: str, env: dict[str, str], columns: int = 80, rows: int = 24
) -> Iterator[Terminal]:
    """Run `autoresearch ARGUMENTS` in a terminal; kill it at the end if it still runs."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    ours = {name: value for name, value in env.items() if name not in ("COLUMNS", "LINES")}
    process = subprocess.Popen(
        [sys.executable, "-m", "autoresearch", *arguments],
        cwd=folder, env={**ours, "TERM": "xterm-256color"},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(slave)
    shown = Terminal(process, master)
    try:
        yield shown
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)
