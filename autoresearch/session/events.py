"""Events of a session, as typed values for listeners."""

from collections.abc import Callable
from dataclasses import dataclass, field

from autoresearch.files import JsonObject
from autoresearch.ledger import Session
from autoresearch.measure.result import Progress
from autoresearch.sandbox.selftest import Inspection


@dataclass(frozen=True)
class SessionOpened:
    """A session begins or goes on; `dirty` if train.py has changes that are not committed.

    `untaken` is an earlier session whose best version the user's train.py does not have.
    """

    session: Session
    inspection: Inspection
    dirty: bool
    untaken: str | None = None


@dataclass(frozen=True)
class SessionClosed:
    """A session ended; `branch_follows` if its branch could be moved to the incumbent."""

    session: Session
    reason: str
    branch_follows: bool


@dataclass(frozen=True)
class LedgerEvent:
    kind: str
    n: int | None
    text: str
    data: JsonObject = field(default_factory=dict)


@dataclass(frozen=True)
class TrialProgress:
    """A running trial of experiment `n`, which `arm` proposed, has moved on."""

    n: int
    purpose: str
    progress: Progress
    arm: str | None = None  # None in a session with one researcher


SessionEvent = SessionOpened | SessionClosed | LedgerEvent | TrialProgress
Listener = Callable[[SessionEvent], None]
