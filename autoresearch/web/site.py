"""Read the ledger, opened for each request, and the files of sessions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from autoresearch.analysis import summary
from autoresearch.analysis.experiment_details import ExperimentDetails, read_experiment
from autoresearch.analysis.summary import SessionSummary
from autoresearch.ledger import Ledger, Session

TAIL_BYTES = 20_000  # of a log that a page shows


class Missing(Exception):
    """There is no such session or experiment."""


@dataclass(frozen=True)
class Site:
    """One repository."""

    root: Path

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """Open the ledger to read from it. Raises UserError if there is no ledger."""
        with Ledger.open(self.runs / "ledger.db", readonly=True) as store:
            yield store

    def session(self, store: Ledger, tag: str) -> Session:
        """Return the session with a tag. Raises Missing."""
        if (session := store.session(tag)) is None:
            raise Missing(f"there is no session {tag}")
        return session

    def experiment(self, store: Ledger, session: Session, n: int) -> ExperimentDetails:
        """Read an experiment and its parent. Raises Missing."""
        experiment = store.experiment(session.id, n)
        if experiment is None:
            raise Missing(f"session {session.tag} has no experiment {n}")
        return read_experiment(store, session, self.runs, experiment)

    def summary(self, store: Ledger, session: Session, now: float) -> SessionSummary:
        return summary.read(store, session, self.runs, now)


def address(tag: str, *rest: object) -> str:
    """Return the address of a page of a session; a tag is untrusted text."""
    return "/".join(["/s", *(quote(str(part), safe="") for part in (tag, *rest))])


def tail(path: Path) -> str:
    """Return the end of a log, from the start of a line; empty if there is no file."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return (
        text if size <= TAIL_BYTES else f"[... {size - TAIL_BYTES} bytes before this ...]\n{text.partition(chr(10))[2]}"
    )
