"""The context that all parts of one session share."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.errors import describe_error, format_traceback, is_unexpected, require
from autoresearch.files import write_atomically
from autoresearch.ledger import Experiment, Ledger, Session, newest, results_tsv
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.session.events import LedgerEvent, Listener, SessionEvent
from autoresearch.workspace.workspace import Workspace


class SessionLock(threading.Condition):
    """Serialise all work on a session; threads release it only while they are blocked."""

    @contextmanager
    def released(self) -> Iterator[None]:
        self.release()
        try:
            yield
        finally:
            self.acquire()


@dataclass(frozen=True)
class SessionContext:
    """Hold what all parts of one session work on. Only the thread that holds `lock` may work."""

    id: int
    tag: str
    ledger: Ledger
    workspace: Workspace
    runs: Path
    listeners: Sequence[Listener] = ()
    lock: SessionLock = field(default_factory=SessionLock)
    _reported: set[str] = field(default_factory=set)

    @property
    def row(self) -> Session:
        """Read the session from the ledger."""
        return require(self.ledger.session(self.tag))

    @property
    def folder(self) -> Path:
        return self.runs / self.tag

    def artefacts(self, n: int) -> Artefacts:
        return Artefacts(self.folder / str(n))

    def experiment(self, n: int) -> Experiment:
        """Read an experiment that exists, with its text."""
        return require(self.ledger.experiment(self.id, n))

    def next_number(self) -> int:
        """Return the number of the next experiment."""
        return 1 + require(newest(self.ledger, self.row))

    def advance(self, experiment: Experiment, state: str, **columns: object) -> Experiment:
        """Record the next state of an experiment, before its step is taken."""
        return self.ledger.update_experiment(experiment.id, state=state, **columns)

    def write_results(self) -> None:
        """Write results.tsv as the ledger has it."""
        write_atomically(self.folder / "results.tsv", [results_tsv(self.ledger, self.row)])

    def emit(self, kind: str, n: int | None, text: str, **data: object) -> None:
        """Record an event in the ledger and notify the listeners."""
        with self.lock:
            self.ledger.event(self.id, kind, text, n=n, data=data)
            self.notify(LedgerEvent(kind, n, text, data))

    def notify(self, event: SessionEvent) -> None:
        """Call the listeners; an error of one ends no session, and is recorded, once for each reason."""
        for listener in self.listeners:
            try:
                listener(event)
            except Exception as error:
                self._report(error)

    def _report(self, error: Exception) -> None:
        reason = type(error).__name__ if is_unexpected(error) else describe_error(error)
        with self.lock:
            if reason not in self._reported:
                self._reported.add(reason)
                words = f"an event could not be shown: {reason}"
                self.ledger.event(self.id, "failed", words, data={"traceback": format_traceback(error)})
