"""What a session remembers: a SQLite database and the questions that are asked of it."""

from autoresearch.ledger.backup import back_up
from autoresearch.ledger.owner import check_free, is_alive, state
from autoresearch.ledger.queries import current, decided, lasted, log_rows, merged, newest, results_tsv, status
from autoresearch.ledger.reviews import Review, reviews
from autoresearch.ledger.rows import (
    AFTERWARDS,
    BROKEN,
    UNSCORED,
    VERDICTS,
    Call,
    Event,
    Experiment,
    Session,
    Trial,
    simpler,
)
from autoresearch.ledger.scores import beside, lost, standard_errors
from autoresearch.ledger.store import MESSAGES, Ledger

__all__ = [
    "AFTERWARDS",
    "BROKEN",
    "MESSAGES",
    "UNSCORED",
    "VERDICTS",
    "Call",
    "Event",
    "Experiment",
    "Ledger",
    "Review",
    "Session",
    "Trial",
    "back_up",
    "beside",
    "check_free",
    "current",
    "decided",
    "is_alive",
    "lasted",
    "log_rows",
    "lost",
    "merged",
    "newest",
    "results_tsv",
    "reviews",
    "simpler",
    "standard_errors",
    "state",
    "status",
]
