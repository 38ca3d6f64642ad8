"""Experiments whose records are gone: what the ledger says of them was read from git, and no trial proves it."""

from autoresearch.ledger.store import Ledger

FROM_GIT = "from git"  # kind of the event of such an experiment
NO_RECORD = "its record is gone: no verdict is known"


def note_lost_record(ledger: Ledger, session_id: int, n: int) -> None:
    ledger.event(session_id, FROM_GIT, "its record is gone: read from git", n=n)


def lost_records(ledger: Ledger, session_id: int) -> set[int]:
    """Return the numbers of the experiments that were read from git."""
    return {event.n for event in ledger.events(session_id, kind=FROM_GIT) if event.n is not None}
