"""Read a text that a human edits while a session runs, such as program.md."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from autoresearch.files import read_text


def describe_blank(name: str) -> str:
    """Return the line about a program.md that is not there, or has no text."""
    return f"{name} is missing or empty: write into it what the agent should try"


@dataclass
class HumanText:
    """A file that is read before each proposal. If it cannot be read, its last text counts.

    `warn` receives one line when that begins.
    """

    path: Path
    warn: Callable[[str], None]
    last: str = ""
    is_lost: bool = False

    def read(self) -> str:
        try:
            text = read_text(self.path)
        except OSError as error:
            return self._keep_last(f"cannot be read ({error.strerror})")
        if text is None and self.last:
            return self._keep_last("is gone")
        self.last, self.is_lost = text or "", False
        return self.last

    def _keep_last(self, why: str) -> str:
        if not self.is_lost:
            used = "the text that was read last" if self.last else "no text"
            self.warn(f"{self.path.name} {why}: agents get {used}, until it can be read")
        self.is_lost = True
        return self.last
