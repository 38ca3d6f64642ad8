"""Lay out the curves of chosen trials of a session on common axes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autoresearch.ledger import ExperimentRow, Ledger, Session, Trial
from autoresearch.report.blocks import Block, Curve, Curves, Heading, Link, Paragraph, Ref, safe
from autoresearch.report.curves import STYLES
from autoresearch.report.experiment import curve
from autoresearch.report.format import verdict
from autoresearch.web import downloads
from autoresearch.web.site import Missing, address

ACROSS = "seconds of training"
NONE = "none"
LISTED = 100  # of the newest experiments, and all keeps
_WITH_CURVE = """
    SELECT trials.id, n, purpose FROM trials JOIN experiments ON experiments.id = experiment_id
    WHERE trials.session_id = :session AND json_array_length(result, '$.curve') > 1
    AND purpose != 'ablate'
    AND (verdict = 'keep' OR n > (SELECT max(n) FROM experiments WHERE session_id = :session) - :listed)
    ORDER BY trials.id
"""
_EXPERIMENTS = """
    SELECT DISTINCT experiment_id, n FROM trials JOIN experiments ON experiments.id = experiment_id
    WHERE trials.session_id = :session AND trials.id IN (SELECT value FROM json_each(:chosen))
"""


@dataclass(frozen=True)
class TrialChoice:
    """The trials of an address by id, at most as many as there are colours; the newest choices stay."""

    tag: str
    trials: tuple[int, ...]

    @classmethod
    def of(cls, tag: str, text: str) -> "TrialChoice":
        """Read ids with commas between them, or `none`. Raises Missing."""
        if text == NONE:
            return cls(tag, ())
        parts = text.split(",")
        if not all(part.isascii() and part.isdigit() and len(part) < 16 for part in parts):
            raise Missing("there is no such trial")
        return cls(tag, tuple(dict.fromkeys(map(int, parts)))[-STYLES:])

    @property
    def address(self) -> str:
        return address(self.tag, "curves", ",".join(map(str, self.trials)) or NONE)

    def toggle(self, trial: int) -> "TrialChoice":
        """Add a trial, or remove it."""
        rest = tuple(each for each in self.trials if each != trial)
        return TrialChoice(self.tag, rest if trial in self.trials else (*rest, trial)[-STYLES:])


def read(store: Ledger, session: Session, choice: TrialChoice) -> list[Curve]:
    """Read the curves of the chosen trials, in their order. Raises Missing if one is not of this session."""
    ids = f"[{','.join(map(str, choice.trials))}]"
    found: dict[int, Curve] = {}
    for experiment_id, n in store.query(_EXPERIMENTS, session=session.id, chosen=ids):
        found |= {trial.id: _named(n, trial) for trial in store.trials(session.id, experiment_id) if trial.losses}
    if not found.keys() >= set(choice.trials):
        raise Missing(f"session {session.tag} has no such trial")
    return [found[trial] for trial in choice.trials]


def _named(n: int, trial: Trial) -> Curve:
    return curve(trial, f"{n}: {trial.purpose}, seed {trial.seed}")


def trials_with_curve(store: Ledger, session: Session) -> dict[int, list[tuple[int, str]]]:
    """Return (id, purpose) of the trials that can be chosen, by number of experiment."""
    found: dict[int, list[tuple[int, str]]] = {}
    for trial, n, purpose in store.query(_WITH_CURVE, session=session.id, listed=LISTED):
        found.setdefault(n, []).append((trial, purpose))
    return found


def layout(
    rows: Sequence[ExperimentRow],
    trials: Mapping[int, Sequence[tuple[int, str]]],
    curves: Sequence[Curve],
    choice: TrialChoice,
) -> Iterator[Block]:
    """Lay out the chosen curves, and links that choose others."""
    yield Heading(f"Curves of {safe(choice.tag, 60)}", 1)
    if curves:
        yield Paragraph(["Training loss, as train.py reports it. A click on a name below the chart hides its curve."])
        yield Curves(curves, ACROSS, "loss", "curves")
        yield downloads.link(f"{choice.address}/curves.csv")
    if not trials:
        yield Paragraph(["No trial has a curve yet: train.py reports one by trial.log(step=..., loss=...)."])
        return
    yield Heading("Trials")
    yield Paragraph(
        [
            f"Choose up to {STYLES}; one more replaces the first. ",
            Link("choose none", TrialChoice(choice.tag, ()).address),
        ],
        "filter",
    )
    for row in [row for row in rows if row.n in trials][::-1]:
        yield Paragraph(list(_experiment(row, trials[row.n], choice)), "filter")


def _experiment(row: ExperimentRow, trials: Sequence[tuple[int, str]], choice: TrialChoice) -> Iterator[str]:
    score = "" if row.val_bpb is None else f" {row.metric.score(row.val_bpb)}"
    yield Ref(row.n)
    yield f" {verdict(row)}{score}:"
    for trial, purpose in trials:
        yield "  "
        yield Link(f"{'✓ ' if trial in choice.trials else ''}{safe(purpose, 20)}", choice.toggle(trial).address)
    yield f"  {safe(row.hypothesis or '', 100)}"
