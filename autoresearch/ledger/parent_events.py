"""Events of a session whose proposals may change other versions than the incumbent."""

from autoresearch.ledger.rows import Event
from autoresearch.ledger.store import Ledger

LEFT, RETURNED = "left", "returned"  # kinds of events: the session left the incumbent, or returned to it
MEASURED_AGAIN = "again"  # kind of the event of a parent that is measured once more


def moves(ledger: Ledger, session_id: int) -> list[Event]:
    """Return the events at which a session left its incumbent or returned to it, in order."""
    left, returned = (ledger.events(session_id, kind=kind) for kind in (LEFT, RETURNED))
    return sorted([*left, *returned], key=lambda event: event.id)
