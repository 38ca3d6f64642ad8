"""Services that a session provides for an agent that calls a model."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from autoresearch.agents.spend_limit import SpendLimit
from autoresearch.files import JsonObject


class Library(Protocol):
    """Past experiments to look up. Answers are text, bounded in size."""

    def history(self, words: str) -> str:
        """Return one line for each experiment whose line has all of the words; without words, for the newest."""

    def show(self, n: int) -> str | None:
        """Return hypothesis, change, trials and verdict of one experiment; None if there is none."""

    def text(self, n: int) -> str | None:
        """Return train.py of one experiment; None if there is none, or it is not known."""

    def find_duplicate(self, text: str) -> str | None:
        """Describe an earlier experiment that measured practically the same program, if any. Raises SyntaxError."""


class Tools(Protocol):
    """Runs of a version that is being written, in cells. Answers are text of untrusted programs, bounded in size.

    Each raises ValueError with the reason if it is not available now.
    """

    def check(self, text: str) -> str:
        """Return what happens when a version trains, saves, loads and answers for a few seconds."""

    def same(self, text: str, n: int | None) -> str:
        """Return whether a version computes the same function as experiment `n`, or the incumbent (None)."""

    def profile(self, text: str) -> str:
        """Return where the time of a version's training step goes."""

    def probe(self, text: str, code: str) -> str:
        """Return what a snippet prints about the training rows; `import train` is the version."""


@dataclass(frozen=True)
class CallRecord:
    """One call of a model, reported twice under one `key`: before it is made, and when it has ended.

    Before, `seconds` is None and `cost_usd` is the most that it can cost, to be assumed if the session is killed.
    `cost_usd` is None if the price is unknown, never 0.
    """

    n: int | None
    purpose: str
    model: str
    started: float = field(default_factory=time.time)
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    error: str | None = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    def columns(self) -> JsonObject:
        return {name: value for name, value in asdict(self).items() if name != "key"}


@dataclass(frozen=True)
class Services:
    """Everything a session provides; the defaults are for an agent without a session.

    Without a `library` an agent sees only its brief, without `tools` it runs nothing. `readable_library` is the part of
    Python's own library that an agent in a cell may read (see CellSpec), None: all. `spent_usd` is the cost of the
    agent's earlier calls in the session, `session_limit` that of all arms; `seconds_left` returns the time to the
    session's deadline (None: no deadline). For one proposal an agent waits at most `max_wait_s` for a busy server; a
    call is cut off after `max_call_s`.
    """

    library: Library | None = None
    readable_library: Sequence[Path | str] | None = None
    on_call: Callable[[CallRecord], None] = lambda record: None
    spent_usd: float = 0.0
    session_limit: SpendLimit | None = None
    seconds_left: Callable[[], float | None] = lambda: None
    max_wait_s: float = 20.0
    max_call_s: float = 900.0
    sleep: Callable[[float], None] = time.sleep
    tools: Tools | None = None

    def time_limit(self, seconds: float) -> float:
        """Return a limit of a call that ends before the session's deadline, but not within the next second."""
        left = self.seconds_left()
        return seconds if left is None else min(seconds, max(left, 1.0))
