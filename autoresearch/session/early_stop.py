"""Early stop of screenings whose training curve says that they have lost (docs/judging.md).

The curve is train.py's own word. That is good enough for a stop: nobody lies to lose, and a liar only gets measured.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np

from autoresearch import judge
from autoresearch.analysis.session_noise import comparable_sessions
from autoresearch.errors import require
from autoresearch.judge import CurveForecast, Draw, Example, LossCurve
from autoresearch.ledger import Experiment, Session, Trial
from autoresearch.ledger.baselines import baseline
from autoresearch.ledger.early_stops import BEHIND, checks
from autoresearch.ledger.statements import describe_odds
from autoresearch.ledger.trials import FRESH, judging
from autoresearch.measure.clock import Budget
from autoresearch.measure.loss_curve import Point
from autoresearch.measure.result import Behind
from autoresearch.session.context import SessionContext
from autoresearch.session.evidence import Evidence
from autoresearch.session.optional_part import OptionalPart
from autoresearch.source.curve_changes import may_change_schedule, may_log_another_loss
from autoresearch.text import plausible

CHECK_EVERY = 10  # of the screenings that would be stopped, one runs to its end
MAX_EARLIER = 60  # newest examples of earlier sessions
SEARCHED_SIGMA, SEARCH_STEPS = 10.0, 16  # around the incumbent's mean, for the highest score that earns a re-run


def read_curve(points: Sequence[Mapping[str, Any]], budget: Budget) -> LossCurve:
    """Return the points of a trial that say where they are; steps that are not logged match no other's."""
    clock = "step" if budget.unit == "steps" else "seconds"
    rows = [(plausible(each.get(clock)), plausible(each.get("step")), plausible(each.get("loss"))) for each in points]
    known = [(at / budget.amount, at if step is None else step, loss) for at, step, loss in rows if at and loss]
    return LossCurve(*np.array(known, dtype=np.float64).reshape(-1, 3).T)


@dataclass
class CurveWatch:
    """Look at the curve of one screening while it trains; no lock is needed."""

    forecast: CurveForecast
    incumbent: LossCurve
    score: float  # of the incumbent's trial with the same seed, whose curve that is
    mean: float  # of the incumbent
    bound: float  # score below which a screening earns a re-run
    max_odds: float
    budget: Budget
    _next: int = 0  # look

    def find_behind(self, progress: float, points: Sequence[Point]) -> Behind | None:
        """Return what the curve says of a candidate that has lost; None if it may still be kept."""
        look = sum(at <= progress for at in judge.LOOKS) - 1
        if look < self._next:
            return None
        self._next = look + 1
        at = judge.LOOKS[look]
        gap = judge.curve_gap(read_curve(points, self.budget), self.incumbent, at)
        if gap is None or not self.forecast.is_known(look):
            return None
        odds = self.forecast.odds_below(look, gap, (self.bound - self.score) / self.score)
        if odds >= self.max_odds:
            return None
        delta = self.score * (1 + self.forecast.expected(look, gap)) - self.mean
        words = f"behind at {100 * at:.0f} % of the budget ({delta:+.4f} forecast, odds {describe_odds(odds)})"
        return Behind(at, delta, odds, words)


@dataclass
class EarlyStop:
    """Decide which screenings are watched, and learn from whole trials; hold the lock when calling a method."""

    context: SessionContext
    evidence: Evidence
    budget: Budget
    is_on: bool = True
    _examples: dict[int, list[Example]] = field(default_factory=dict)  # by id of an experiment
    _part: OptionalPart = field(init=False)

    def __post_init__(self) -> None:
        self._part = OptionalPart(self.context, "early stops")

    def watch(self, experiment: Experiment, seed: int) -> CurveWatch | None:
        """Return the watch of a screening; None for one that has to run to its end."""
        if not self.is_on or experiment.mode in judge.SIMPLER_MODES:
            return None
        return self._part.run(lambda: self._watch(experiment, seed), None)

    def _watch(self, experiment: Experiment, seed: int) -> CurveWatch | None:
        rival = self.context.experiment(self.evidence.rival(experiment).n)
        trials = [trial for trial in _good(self.evidence.trials(rival)) if trial.seed == seed]
        if not trials or may_log_another_loss(rival.text or "", experiment.text or ""):
            return None
        score, noise = require(trials[-1].val_bpb), self.evidence.noise()
        if not noise.dof:
            return None
        examples = [*self._earlier(), *self._examples_of(self.context.row)]
        return CurveWatch(
            forecast=CurveForecast(examples, noise.sigma / score, categories_of(experiment, rival)),
            incumbent=read_curve(trials[-1].result.get("curve") or [], self.budget),
            score=score,
            mean=fmean(self.evidence.scores(rival)),
            bound=self.find_bound(experiment, rival, seed),
            max_odds=judge.max_odds(checks(self.context.ledger, self.context.id)),
            budget=self.budget,
        )

    def is_check(self) -> bool:
        """Return whether the next screening that is behind runs on, to show whether the rule is right."""
        return len(self.context.ledger.events(self.context.id, kind=BEHIND)) % CHECK_EVERY == 0

    def find_bound(self, experiment: Experiment, rival: Experiment, seed: int) -> float:
        """Return the highest score of a screening after which the candidate is not discarded, by bisection."""
        decide, draws = self.evidence.rule(experiment), self.evidence.draws_of(rival)
        mean, now = fmean(draw.score for draw in draws), 1 + max(draw.at for draw in draws)
        room = SEARCHED_SIGMA * self.evidence.noise().sigma
        low, high = mean - room, mean + room
        for _ in range(SEARCH_STEPS):
            middle = (low + high) / 2
            is_lost = decide([Draw(middle, now, seed)]).action == "discard"
            low, high = (low, middle) if is_lost else (middle, high)
        return high

    def _earlier(self) -> list[Example]:
        """Return the newest examples of comparable earlier sessions."""
        row = self.context.row
        comparable = comparable_sessions(self.context.ledger, row.identity, row.settings, without=row.id)
        return [example for each in comparable for example in self._examples_of(each)][-MAX_EARLIER:]

    def _examples_of(self, session: Session) -> list[Example]:
        """Return the examples of a session; those of a settled experiment are read once."""
        rows = {row.n: row for row in self.context.ledger.experiments(session.id)}
        for row in rows.values():
            if row.state == "settled" and row.id not in self._examples:
                self._examples[row.id] = self.read_examples(session, row, baseline(row, rows))
        return [example for row in rows.values() for example in self._examples.get(row.id, ())]

    def read_examples(self, session: Session, row: Experiment, rival: Experiment | None) -> list[Example]:
        """Return the whole trials of a version beside those of its incumbent; of a keep, also among themselves."""
        own = _good(self.context.ledger.trials(session.id, row.id))
        fresh = [trial for trial in own if trial.purpose in FRESH]
        pairs = list(zip(fresh[1:], fresh, strict=False)) if row.verdict == "keep" else []
        examples = [self._example(ours, theirs, ()) for ours, theirs in pairs]
        theirs = _good(self.context.ledger.trials(session.id, rival.id)) if rival is not None else []
        if rival is None or not theirs or not own:
            return examples
        theirs = [trial for trial in theirs if trial.purpose in FRESH] or theirs
        texts = [require(self.context.ledger.experiment(session.id, each.n)) for each in (row, rival)]
        categories = categories_of(*texts)
        return examples + [self._example(trial, partner_of(trial, theirs), categories) for trial in own]

    def _example(self, ours: Trial, theirs: Trial, categories: tuple[str, ...]) -> Example:
        curve, other = (read_curve(trial.result.get("curve") or [], self.budget) for trial in (ours, theirs))
        score = require(theirs.val_bpb)
        gaps = tuple(judge.curve_gap(curve, other, at) for at in judge.LOOKS)
        return Example(gaps, (require(ours.val_bpb) - score) / score, categories)


def _good(trials: Iterable[Trial]) -> list[Trial]:
    return [trial for trial in judging(trials) if trial.val_bpb is not None]


def categories_of(experiment: Experiment, rival: Experiment) -> tuple[str, ...]:
    """Return the categories of a change, that of schedules also where only its text says so."""
    found = set(experiment.categories)
    if may_change_schedule(rival.text or "", experiment.text or ""):
        found.add(judge.SCHEDULE)
    return tuple(sorted(found))


def partner_of(trial: Trial, others: Sequence[Trial]) -> Trial:
    """Return the trial with the same seed, and so the same rows, or else the one that began nearest."""
    return min(others, key=lambda other: (other.seed != trial.seed, abs(other.started - trial.started)))
