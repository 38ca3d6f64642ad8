"""Past experiments as a model may read them: from the ledger, or from no more than its brief.

Everything here was said by models and by programs that models wrote: whoever sends it on quotes it as data. Scores are
rounded, and what an experiment scored on the holdout is not in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from autoresearch.ledger import Experiment, Ledger, Trial, duplicates
from autoresearch.source.diff import unified_diff
from autoresearch.source.fingerprint import fingerprint_without_seed

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

ROWS = 40  # experiments in one answer
LONGEST_DIFF = 12_000  # characters


class Row(Protocol):
    """What a line about an experiment says; read-only, so that frozen classes fit."""

    @property
    def n(self) -> int: ...
    @property
    def verdict(self) -> str | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def category(self) -> str | None: ...
    @property
    def hypothesis(self) -> str | None: ...
    @property
    def delta(self) -> float | None: ...


def table(rows: Sequence[Row], words: str) -> str:
    """The newest lines that have all of the words in them."""
    wanted = words.lower().split()
    lines = [line for row in rows if all(word in (line := _line(row)).lower() for word in wanted)] if wanted else []
    lines = lines if wanted else [_line(row) for row in rows]
    more = f"\n({len(lines) - ROWS} older ones are left out)" if len(lines) > ROWS else ""
    return "\n".join(lines[-ROWS:]) + more if lines else f"no experiment matches `{words}`"


def _line(row: Row) -> str:
    delta = "" if row.delta is None else f" {row.delta:+.4f}"
    return f"{row.n} {row.verdict}{delta} [{row.category}] {row.hypothesis} -- {row.reason}"


@dataclass(frozen=True)
class BriefLibrary:
    """For an agent that nobody lent a library: the history that its brief brings."""

    brief: "Brief"

    def history(self, words: str) -> str:
        """See Library."""
        return table(self.brief.history, words)

    def show(self, n: int) -> str | None:
        """See Library."""
        return next((_line(past) for past in self.brief.history if past.n == n), None)

    def twin(self, text: str) -> str | None:
        """See Library; only the version to change is known."""
        same = fingerprint_without_seed(text) == fingerprint_without_seed(self.brief.source)
        return f"the same program as experiment {self.brief.parent}, seeds aside" if same else None


@dataclass(frozen=True)
class LedgerLibrary:
    """All experiments of one session. Each question opens the ledger for reading: any thread may ask."""

    path: Path
    session_id: int

    def history(self, words: str) -> str:
        """See Library."""
        with Ledger.open(self.path, readonly=True) as ledger:
            return table([row for row in ledger.experiments(self.session_id) if row.state == "settled"], words)

    def show(self, n: int) -> str | None:
        """See Library."""
        with Ledger.open(self.path, readonly=True) as ledger:
            row = ledger.experiment(self.session_id, n)
            if row is None:
                return None
            parent = None if row.parent is None else ledger.experiment(self.session_id, row.parent)
            trials = ledger.trials(self.session_id, row.id)
        parts = [_line(row), _scores(trials), "" if parent is None else _change(parent, row)]
        return "\n\n".join(part for part in parts if part)

    def twin(self, text: str) -> str | None:
        """See Library."""
        with Ledger.open(self.path, readonly=True) as ledger:
            found = duplicates.find(ledger, self.session_id, text)
        return None if found is None else str(found)


def _scores(trials: Sequence[Trial]) -> str:
    scores = [str(trial.outcome) if trial.val_bpb is None else f"{trial.val_bpb:.4f}" for trial in trials]
    return "trials: " + ", ".join(scores) if scores else ""


def _change(parent: Experiment, row: Experiment) -> str:
    diff = unified_diff(parent.text or "", row.text or "")
    return f"change against experiment {parent.n}:\n{diff[:LONGEST_DIFF]}"
