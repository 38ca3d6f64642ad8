"""Read everything that a report of a session needs, once."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoresearch.analysis import advice, near_misses
from autoresearch.analysis.ablate import Ablation, newest_ablation
from autoresearch.analysis.advice import Suggestion
from autoresearch.analysis.arm_counts import count_arms
from autoresearch.analysis.draws import speed_effect
from autoresearch.analysis.experiment_details import ExperimentDetails, read_details
from autoresearch.analysis.total import Total, recorded_totals
from autoresearch.analysis.transfer import Transfer, newest_transfer
from autoresearch.files import read_text
from autoresearch.judge import SpeedEffect
from autoresearch.judge.arm_comparison import ArmResults
from autoresearch.ledger import (
    Event,
    ExperimentRow,
    Ledger,
    Session,
    SessionStatus,
    Trial,
    experiment_rows,
    lost_trials,
    status,
)
from autoresearch.ledger.breakdown import GroupSums, sum_groups
from autoresearch.ledger.early_stops import EarlyStops, early_stops
from autoresearch.ledger.parent_events import moves
from autoresearch.ledger.rows import TRANSFER

KEEPS, OTHERS = 40, 12  # experiments of a kind that are shown in detail: of more, the newest or the best


@dataclass(frozen=True)
class SessionSummary:
    """A session as a report shows it; `details` has the base, newest keeps and suspects.

    `near_misses` are those whose change no keep contains, those with the best odds first.
    """

    session: Session
    status: SessionStatus
    rows: list[ExperimentRow]
    near_misses: list[ExperimentRow]
    details: dict[int, ExperimentDetails]
    total: Total | None
    totals: int  # how often it was measured for versions that stand
    transfer: Transfer | None  # the newest one, if its final version stands
    by_category: list[GroupSums]
    by_program: list[GroupSums]
    by_model: list[GroupSums]
    arms: list[ArmResults]  # of a session with several
    notes: list[str]
    ablation: Ablation | None
    drifts: list[Event]
    moves: list[Event]  # of its parents, away from the incumbent and back
    speed: SpeedEffect  # of the machine on scores
    stops: EarlyStops
    lost: list[tuple[int, Trial]]  # interrupted or disturbed trials with the number of their experiment
    advice: list[Suggestion]  # lines that the evidence suggests for it

    @property
    def candidates(self) -> list[ExperimentRow]:
        """Return the experiments that were tried: with a verdict, without the base and those never measured."""
        return [row for row in self.rows if row.n > 0 and row.verdict and not row.unmeasured]

    @property
    def near_miss_count(self) -> int:
        """Return how many experiments are near misses; `near_misses` has those worth another look."""
        return sum(row.near_miss for row in self.candidates)

    @property
    def keeps(self) -> list[ExperimentRow]:
        return self._select("keep")

    @property
    def suspects(self) -> list[ExperimentRow]:
        return self._select("suspect")

    @property
    def failures(self) -> list[ExperimentRow]:
        """Return the experiments without a score, suspects aside."""
        return self._select("crash", "invalid", "duplicate")

    @property
    def weaknesses(self) -> list[str]:
        """Return what was not protected in the trials of `details`."""
        trials = [trial for details in self.details.values() for trial in details.judging_trials]
        return list(dict.fromkeys(words for trial in trials for words in trial.weaknesses))

    def _select(self, *verdicts: str) -> list[ExperimentRow]:
        return [row for row in self.candidates if row.verdict in verdicts]


def read(store: Ledger, session: Session, runs: Path, now: float) -> SessionSummary:
    """Read a session as it is at `now` (unix seconds)."""
    rows, calls = experiment_rows(store, session), store.calls(session.id)
    keeps = [row.n for row in rows if row.verdict == "keep" and row.n > 0][-KEEPS:]
    suspects = [row.n for row in rows if row.verdict == "suspect"][-OTHERS:]
    standing = {row.n for row in rows if row.verdict == "keep"}
    totals = [each for each in recorded_totals(store.events(session.id, kind="total")) if each.final in standing]
    state, by_category = status(store, session, now), sum_groups(rows, calls, "category")
    near, shown = near_misses.worth_a_look(store, session, rows), {0, *keeps, *suspects}
    return SessionSummary(
        session=session,
        status=state,
        rows=rows,
        near_misses=near,
        details=read_details(
            store,
            session,
            runs,
            {row.n: row.baseline for row in rows if row.n in shown},
            {row.n: row.error for row in rows},
        ),
        total=totals[-1] if totals else None,
        totals=len(totals),
        transfer=_standing_transfer(store, session, standing),
        by_category=by_category,
        by_program=sum_groups(rows, calls, "program"),
        by_model=sum_groups(rows, calls, "model") if calls else [],
        arms=count_arms(store, session, rows) if any(row.arm for row in rows) else [],
        notes=store.notes(session.id),
        ablation=newest_ablation(store.events(session.id, kind="ablation")),
        drifts=store.events(session.id, kind="drift"),
        moves=moves(store, session.id),
        speed=speed_effect(store, session),
        stops=early_stops(store, session),
        lost=lost_trials(store, session),
        advice=advice.suggestions(rows, near, by_category, state.sigma),
    )


def _standing_transfer(store: Ledger, session: Session, standing: Collection[int]) -> Transfer | None:
    found = newest_transfer(store.events(session.id, kind=TRANSFER))
    return found if found is not None and found.whole.n in standing else None


def read_program(path: Path) -> str:
    """Return the text of program.md as it is now; empty if it cannot be read."""
    with suppress(OSError):
        return read_text(path) or ""
    return ""
