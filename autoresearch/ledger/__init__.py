"""What a session remembers: a SQLite database and the questions that are asked of it."""

from autoresearch.ledger.alive import check_free, is_alive, state
from autoresearch.ledger.backup import back_up
from autoresearch.ledger.draws import standard_error
from autoresearch.ledger.queries import current, decided, lasted, log_rows, merged, newest, results_tsv, status
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
    "back_up",
    "check_free",
    "current",
    "decided",
    "is_alive",
    "lasted",
    "log_rows",
    "merged",
    "newest",
    "results_tsv",
    "standard_error",
    "state",
    "status",
]
