"""The sessions of a repository with their states, scores and sizes."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from autoresearch.files import JsonObject, measure_size
from autoresearch.ledger import Ledger, status
from autoresearch.metric import VAL_BPB, Metric


@dataclass(frozen=True)
class ListedSession:
    """One session in a list. `bytes` is what its files take on the disk."""

    tag: str
    state: str
    experiments: int
    kept: int
    base_bpb: float | None
    best_bpb: float | None
    started: float | None
    bytes: int
    metric: Metric = VAL_BPB

    def as_json(self) -> JsonObject:
        return asdict(self)


def list_sessions(store: Ledger, now: float) -> Iterator[ListedSession]:
    """Yield all sessions, oldest first."""
    for session in store.sessions():
        state, size = status(store, session, now), measure_size(store.path.parent / session.tag)
        scores = state.base_bpb, state.best_bpb
        counts = state.experiments, state.kept
        yield ListedSession(session.tag, state.state, *counts, *scores, state.started, size, state.metric)
