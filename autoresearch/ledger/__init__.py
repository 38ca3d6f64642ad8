"""SQLite store of sessions and their experiments, and the questions that are asked of it."""

from autoresearch.ledger.backup import back_up, copy_ledger
from autoresearch.ledger.owner import check_free, is_alive, state
from autoresearch.ledger.queries import (
    ExperimentRow,
    count_settled,
    current,
    experiment_rows,
    find_merge,
    newest,
    pace_of_work,
    results_tsv,
    trained_steps,
    trial_seconds,
)
from autoresearch.ledger.reviews import Review, reviews
from autoresearch.ledger.rows import BROKEN, VERDICTS, Call, Event, Experiment, Session, Trial
from autoresearch.ledger.scores import lost_trials, sentinels_of, standard_errors
from autoresearch.ledger.session_status import SessionStatus, status
from autoresearch.ledger.store import Ledger

__all__ = [
    "BROKEN",
    "VERDICTS",
    "Call",
    "Event",
    "Experiment",
    "ExperimentRow",
    "Ledger",
    "Review",
    "Session",
    "SessionStatus",
    "Trial",
    "back_up",
    "check_free",
    "copy_ledger",
    "count_settled",
    "current",
    "experiment_rows",
    "find_merge",
    "is_alive",
    "lost_trials",
    "newest",
    "pace_of_work",
    "results_tsv",
    "reviews",
    "sentinels_of",
    "standard_errors",
    "state",
    "status",
    "trained_steps",
    "trial_seconds",
]
