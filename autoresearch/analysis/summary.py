"""Everything that a report of a session tells, read from the ledger and from what the session left in files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoresearch import ledger as package
from autoresearch.analysis import ablate, advice
from autoresearch.analysis.ablate import Ablation
from autoresearch.analysis.total import Total, recorded_totals
from autoresearch.ledger import Event, Ledger, Review, Session, Trial, breakdown
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.ledger.trials import judging

KEEPS, OTHERS = 40, 12  # experiments of a kind that are shown with all they have; of more, the newest, or the best

Row = dict[str, Any]


@dataclass(frozen=True)
class SessionSummary:
    """What there is to tell.

    `rows` are those of `log --json`; `trials`, `beside` and `patches` are of the experiments shown.
    """

    session: Session
    status: dict[str, Any]
    rows: list[Row]
    total: Total | None
    totals: int  # how often it was measured
    by_category: list[Row]
    by_program: list[Row]
    by_model: list[Row]
    notes: list[str]
    weaknesses: list[str]
    trials: dict[int, list[Trial]]
    beside: dict[int, list[tuple[int, Trial]]]  # the incumbent's that were held against them, with its number
    reviews: dict[int, Review]
    ablation: Ablation | None
    drifts: list[Event]  # when the incumbent scored far from before
    lost: list[tuple[int, Trial]]  # trials that were interrupted or disturbed, with the experiment's number
    patches: dict[int, str]
    program: str  # program.md as it is now
    advice: list[str]  # lines that the evidence suggests for it

    @property
    def tried(self) -> list[Row]:
        """Everything but the base."""
        return [row for row in self.rows if row["n"] > 0 and row["verdict"]]

    @property
    def keeps(self) -> list[Row]:
        """What was kept on the base, in order."""
        return self._of("keep")

    @property
    def suspects(self) -> list[Row]:
        """Whose scores could not be confirmed."""
        return self._of("suspect")

    @property
    def failures(self) -> list[Row]:
        """What gave no score, suspects aside; the newest last."""
        return self._of("crash", "invalid", "duplicate")

    @property
    def near_misses(self) -> list[Row]:
        """The most promising first."""
        found = [row for row in self.tried if row["near_miss"]]
        return sorted(found, key=lambda row: row["delta"] if row["delta"] is not None else float("inf"))

    def _of(self, *verdicts: str) -> list[Row]:
        return [row for row in self.tried if row["verdict"] in verdicts]


def read(store: Ledger, session: Session, runs: Path, now: float, program: str = "") -> SessionSummary:
    """What a session left, as it is at `now` (unix seconds); `program` is the text of program.md."""
    rows = package.log_rows(store, session)
    calls = store.calls(session.id)
    shown = _shown(rows)
    trials = _trials(store, session, shown)
    measured = recorded_totals(store.events(session.id, kind="total"))
    status, by_category = package.status(store, session, now), breakdown.sums(rows, calls, "category")
    return SessionSummary(
        session=session,
        status=status,
        rows=rows,
        total=measured[-1] if measured else None,
        totals=len(measured),
        by_category=by_category,
        by_program=breakdown.sums(rows, calls, "program"),
        by_model=breakdown.sums(rows, calls, "model") if calls else [],
        notes=store.notes(session.id),
        weaknesses=_weaknesses(trials),
        trials=trials,
        beside=package.beside(store, session, shown),
        reviews=package.reviews(store, session.id),
        ablation=ablate.newest_ablation(store.events(session.id, kind="ablation")),
        drifts=store.events(session.id, kind="drift"),
        lost=package.lost(store, session),
        patches={n: _patch(runs / session.tag / str(n)) for n in shown},
        program=program,
        advice=advice.lines(rows, by_category, status["sigma"]),
    )


def program(path: Path) -> str:
    """The text of program.md as it is now; nothing where there is none."""
    return path.read_text(errors="replace") if path.is_file() else ""


def _shown(rows: Sequence[Row]) -> list[int]:
    """The base, the newest keeps and the newest suspects."""
    keeps = [row["n"] for row in rows if row["verdict"] == "keep" and row["n"] > 0]
    suspects = [row["n"] for row in rows if row["verdict"] == "suspect"]
    return [0, *keeps[-KEEPS:], *suspects[-OTHERS:]]


def _trials(store: Ledger, session: Session, shown: Sequence[int]) -> dict[int, list[Trial]]:
    """Their trials, those that judged nothing and interrupted ones aside."""
    found = {}
    for n in shown:
        experiment = store.experiment(session.id, n)
        trials = store.trials(session.id, experiment.id) if experiment else []
        found[n] = judging(trials)
    return found


def _weaknesses(trials: dict[int, list[Trial]]) -> list[str]:
    named = [str(each) for group in trials.values() for trial in group for each in trial.result.get("weaknesses") or []]
    return list(dict.fromkeys(named))


def _patch(folder: Path) -> str:
    path = Artefacts(folder).patch
    return path.read_text(errors="replace") if path.exists() else ""
