"""Reviews of kept changes by people."""

from dataclasses import dataclass

from autoresearch.ledger.store import Ledger


@dataclass(frozen=True)
class Review:
    """A person's decision on a keep, with reason, name and time (unix seconds)."""

    accepted: bool
    note: str
    by: str
    at: float

    @property
    def word(self) -> str:
        return "accepted" if self.accepted else "rejected"


def reviews(ledger: Ledger, session_id: int) -> dict[int, Review]:
    """Return the newest review of each experiment that has one, by its number."""
    newest = {}
    for event in ledger.events(session_id, kind="review"):
        if event.n is not None:
            accepted, note, by = event.data.get("accepted", True), event.data.get("note"), event.data.get("by")
            newest[event.n] = Review(bool(accepted), str(note or ""), str(by or ""), event.at)
    return newest
