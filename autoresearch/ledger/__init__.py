"""What a session remembers: a SQLite database and the questions that are asked of it."""

from autoresearch.ledger.alive import is_alive, state
from autoresearch.ledger.draws import standard_error
from autoresearch.ledger.queries import current, log_rows, results_tsv, status
from autoresearch.ledger.rows import BROKEN, UNSCORED, VERDICTS, Call, Event, Experiment, Session, Trial
from autoresearch.ledger.store import MESSAGES, Ledger

__all__ = [
    "BROKEN",
    "MESSAGES",
    "UNSCORED",
    "VERDICTS",
    "Call",
    "Event",
    "Experiment",
    "Ledger",
    "Session",
    "Trial",
    "current",
    "is_alive",
    "log_rows",
    "results_tsv",
    "standard_error",
    "state",
    "status",
]
