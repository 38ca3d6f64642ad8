"""What a session lends to an agent that calls a model: past experiments to look up, and ears for every call."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol


class Library(Protocol):
    """Past experiments, for an agent to read while it thinks. Answers are text, bounded in size."""

    def history(self, words: str) -> str:
        """One line for each experiment that has all of the words in it; for no words, the newest."""

    def show(self, n: int) -> str | None:
        """Hypothesis, change, trials and verdict of one experiment; None if there is none."""

    def twin(self, text: str) -> str | None:
        """Why the program is as good as one that was measured before, if it is. Raises SyntaxError."""


@dataclass(frozen=True)
class CallRecord:
    """One call of a model, reported twice under one `key`: before it is made, and when it has ended.

    Before, `seconds` is None and `cost_usd` the most that it can cost: what a killed session must assume.
    `cost_usd` is None where the price is unknown, never 0.
    """

    key: str
    n: int | None
    purpose: str
    model: str
    started: float
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    seconds: float | None = None
    error: str | None = None

    def columns(self) -> dict[str, Any]:
        """As the ledger's `calls` table has them."""
        return {name: value for name, value in asdict(self).items() if name != "key"}


def _ignore(record: CallRecord) -> None:
    """For an agent that is used without a ledger."""


@dataclass(frozen=True)
class Services:
    """`library` None: an agent sees only what its brief holds. `spent_usd` is what earlier calls of the session
    cost, `left` tells how many seconds it still goes on (None: no end). An agent itself waits for a busy server no longer than
    `patience` seconds for one proposal; a call is given up after `call_seconds`. `readable_library` is what an agent
    in a cell may read of Python's own library (see CellSpec), None: all.
    """

    library: Library | None = None
    readable_library: Sequence[Path | str] | None = None
    on_call: Callable[[CallRecord], None] = _ignore
    spent_usd: float = 0.0
    left: Callable[[], float | None] = lambda: None
    patience: float = 20.0
    call_seconds: float = 900.0
    sleep: Callable[[float], None] = time.sleep
