"""Add events to the ledger of a session from beside its loop."""

from contextlib import suppress
from pathlib import Path

from autoresearch.errors import UserError
from autoresearch.ledger.store import Ledger


def write_event(path: Path, session_id: int, kind: str, text: str) -> bool:
    """Add an event if the ledger can be written; return False if it is gone.

    A new file there would stand in the way of the session, which writes its own ledger again.
    """
    if not path.exists():
        return False
    with suppress(UserError), Ledger.open(path) as ledger:
        ledger.event(session_id, kind, text)
    return True
