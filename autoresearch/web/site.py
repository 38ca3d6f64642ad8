"""What the pages are made from: the ledger, opened read-only for each request, and the files that sessions left."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from autoresearch import config
from autoresearch.analysis import summary
from autoresearch.analysis.summary import SessionSummary
from autoresearch.ledger import Experiment, Ledger, Session, Trial
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.trials import judging
from autoresearch.report.curves import Curve
from autoresearch.report.format import losses

MOST = 2**63 - 1  # the largest number of an experiment that a ledger can hold
CUT = 20_000  # bytes of the end of a log that a page shows


class Missing(Exception):
    """There is no such session or experiment."""


@dataclass(frozen=True)
class Site:
    """One repository."""

    root: Path

    @property
    def runs(self) -> Path:
        """Where sessions leave what they leave."""
        return self.root / "runs"

    @contextmanager
    def ledger(self) -> Iterator[Ledger]:
        """To read from. Raises UserError where there is none."""
        with Ledger.open(self.runs / "ledger.db", readonly=True) as store:
            yield store

    def session(self, store: Ledger, tag: str) -> Session:
        """By its tag. Raises Missing."""
        if (found := store.session(tag)) is None:
            raise Missing(f"there is no session {tag}")
        return found

    def experiment(self, store: Ledger, session: Session, n: int) -> tuple[Experiment, list[Trial]]:
        """With the trials that judge it, as their files are numbered. Raises Missing."""
        found = store.experiment(session.id, n) if n <= MOST else None
        if found is None:
            raise Missing(f"session {session.tag} has no experiment {n}")
        return found, judging(store.trials(session.id, found.id))

    def night(self, store: Ledger, session: Session, now: float) -> SessionSummary:
        """Everything that the report tells."""
        program = summary.program(self.root / config.load(self.root, {}).program)
        return summary.read(store, session, self.runs, now, program)

    def files(self, session: Session, n: int) -> Artefacts:
        """What an experiment left."""
        return Artefacts(self.runs / session.tag / str(n))


def address(tag: str, *rest: object) -> str:
    """Of a page of a session; a tag is text of others like any."""
    return "/".join(["/s", *(quote(str(part), safe="") for part in (tag, *rest))])


def curve(trial: Trial, name: str = "") -> Curve:
    """The loss over the seconds of training, as train.py told it."""
    return Curve(name or f"{trial.purpose}, seed {trial.seed}", losses(trial.result.get("curve") or []))


def as_shares(found: Curve) -> Curve:
    """The same over the share of the budget, as far as it can be told from its last point."""
    last = found.points[-1][0] if found.points else 0.0
    return Curve(found.name, [(x / last, y) for x, y in found.points] if last else [])


def tail(path: Path) -> str:
    """The end of a log, on whole lines; nothing where there is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - CUT))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    return text if size <= CUT else f"[... {size - CUT} bytes before this ...]\n{text.partition(chr(10))[2]}"
