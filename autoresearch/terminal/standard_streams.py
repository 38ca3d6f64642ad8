"""Standard streams: a line for a person that cannot be printed ends no command, data that cannot be written does.

stderr is best effort, and so is stdout in a command that works for hours. The other commands exist for their data.
"""

import atexit
import fcntl
import io
import os
import select
import sys
import threading
from contextlib import suppress
from queue import SimpleQueue
from typing import TextIO

from autoresearch.errors import UserError

STALL_S = 2.0  # a reader that takes longer is no longer waited for
LAST_S = 10.0  # but at the end of the program it is
MAX_QUEUED = 1000  # pieces of text that wait for such a reader; more are dropped


class BestEffortFile(io.RawIOBase):
    """A descriptor that never raises and never blocks for long; `failure` says why output was lost, if it was.

    A thread writes: a terminal whose connection hangs, or a program that reads no more, blocks nothing but this thread.
    """

    def __init__(self, fd: int) -> None:
        self.fd, self.failure = fd, ""
        self._queue: SimpleQueue[bytes | threading.Event] = SimpleQueue()  # its `put` may be called in a signal handler
        self._is_late = self._is_over = False
        self._thread: threading.Thread | None = None

    def fileno(self) -> int:
        return self.fd

    def isatty(self) -> bool:
        return os.isatty(self.fd)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        if self._thread is None and not self._is_over:
            self._thread = threading.Thread(target=self._work, name="output", daemon=True)
            self._thread.start()
            atexit.register(self._end)
        if self._queue.qsize() < MAX_QUEUED:
            self._queue.put(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Wait until everything is written, but not for a reader that is late."""
        if self._thread is None or self._is_late or self._is_over:
            return
        written = self._mark()
        if not written.wait(STALL_S):
            self._is_late, self.failure = True, self.failure or f"nobody has read it for {STALL_S:.0f} s"
            if written.is_set():  # meanwhile, and the thread may have cleared the mark before it was made
                self._is_late = False

    def _mark(self) -> threading.Event:
        """Return an event that is set when all that is queued now is written."""
        written = threading.Event()
        self._queue.put(written)
        return written

    def _end(self) -> None:
        """Write what is left; Python stops the thread after this, and nothing may wait for it."""
        self._mark().wait(LAST_S)
        self._is_over = True

    def _work(self) -> None:
        while True:
            item = self._queue.get()
            if isinstance(item, threading.Event):
                item.set()
            else:
                self._write_out(item)
            if self._queue.empty():
                self._is_late = False

    def _write_out(self, data: bytes) -> None:
        try:
            while data:
                with suppress(BlockingIOError):  # another program may have made the terminal non-blocking
                    data = data[os.write(self.fd, data) :]
                    continue
                select.select((), (self.fd,), ())
        except OSError as error:
            self.failure = self.failure or str(error.strerror)


class DataFile(io.FileIO):
    """A descriptor that raises UserError if it cannot be written, once; BrokenPipeError if nobody reads it any more."""

    def write(self, data: bytes) -> int:  # type: ignore[override]
        try:
            return super().write(data)
        except OSError as error:
            with open(os.devnull, "w") as nowhere:
                os.dup2(nowhere.fileno(), self.fileno())  # what is buffered would raise again at the end
            if isinstance(error, BrokenPipeError):
                raise
            raise UserError(f"stdout cannot be written: {error.strerror}") from None


def prepare_streams() -> None:
    """Open standard streams that are closed, and replace them by ours; `?` replaces what cannot be encoded."""
    for fd in range(3):  # else the next file that is opened, such as the ledger, would be written to as stderr
        if _is_closed(fd):
            os.open(os.devnull, os.O_RDWR)
    file = DataFile(_descriptor(sys.stdout, 1), "w", closefd=False)
    encoding, unbuffered = getattr(sys.stdout, "encoding", "utf-8"), getattr(sys.stdout, "write_through", False)
    by_line = unbuffered or file.isatty()
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(file), encoding, "replace", line_buffering=by_line)
    sys.stderr = make_best_effort(_descriptor(sys.stderr, 2), getattr(sys.stderr, "encoding", "utf-8"))


def make_best_effort(fd: int, encoding: str = "utf-8") -> TextIO:
    """Return a stream to a descriptor whose failure is no error."""
    file = BestEffortFile(fd)
    return io.TextIOWrapper(file, encoding, "replace", line_buffering=True, write_through=True)  # type: ignore[type-var]


def output_failure(stream: object) -> str:
    """Return why lines of a best-effort stream were lost; empty if none were."""
    file = getattr(stream, "buffer", None)
    return file.failure if isinstance(file, BestEffortFile) else ""


def _descriptor(stream: TextIO | None, default: int) -> int:
    """Return the descriptor of a stream, with nothing left in it; Python has no stream where it was closed."""
    if stream is None:
        return default
    with suppress(OSError):
        stream.flush()
    return stream.fileno()


def _is_closed(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_GETFD)
    except OSError:
        return True
    return False
