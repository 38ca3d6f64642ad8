"""Steps of a command that takes minutes, on stderr: in a terminal the running one too, else one line for each."""

import time
from types import TracebackType

from rich.console import Console
from rich.status import Status
from rich.text import Text

from autoresearch.text import one_line

MAX_LINE_CHARS = 200


class StepDisplay:
    """Show what runs, and what came of it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False)
        self._status: Status | None = None
        self._began = time.monotonic()

    def __enter__(self) -> "StepDisplay":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._stop()

    def begin(self, label: str) -> None:
        """Show that a step runs."""
        self._began = time.monotonic()
        if self._console.is_terminal and not self._console.is_dumb_terminal:
            self._status = self._console.status(Text(f"{label} ..."))
            self._status.start()

    def end(self, label: str, words: str) -> None:
        """Replace the running step by a line with its result."""
        self._stop()
        seconds = time.monotonic() - self._began
        line = one_line(f"{label}: {words} ({seconds:.1f} s)", MAX_LINE_CHARS)
        self._console.print(Text(f"  {line}"), soft_wrap=True)

    def _stop(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None
