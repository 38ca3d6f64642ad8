"""Who hears what a session does."""

from typing import TYPE_CHECKING, Any

from autoresearch import ledger
from autoresearch.measure.result import Progress
from autoresearch.sandbox.selftest import Inspection

if TYPE_CHECKING:
    from autoresearch.setup.project import Project


class Reporter:
    """Hears what happens; views override what they show."""

    def opened(self, row: ledger.Session, place: "Project", found: Inspection, dirty: bool) -> None:
        """A session begins or goes on."""

    def closed(self, row: ledger.Session, reason: str, branch_follows: bool) -> None:
        """It ended."""

    def event(self, kind: str, n: int | None, text: str, data: dict[str, Any]) -> None:
        """Something happened that the ledger remembers too."""

    def progress(self, n: int, purpose: str, progress: Progress) -> None:
        """A trial moved on."""
