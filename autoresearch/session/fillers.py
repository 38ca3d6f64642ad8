"""Filler trials: what is most worth knowing is measured while the agent works and no candidate is ready.

A filler measures a near miss of the incumbent, or the incumbent, with a fresh seed. It ends when a candidate is ready,
whatever it would have scored: what has ended early is dropped. One that ends by itself is evidence like a re-run
(docs/judging.md). It may show that a near miss has to be measured further, as a candidate again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from autoresearch import judge
from autoresearch.ledger import Experiment
from autoresearch.ledger.baselines import baseline
from autoresearch.ledger.rows import BRANCHES, FILLER, Trial
from autoresearch.measure.referee import Referee
from autoresearch.session.context import SessionContext
from autoresearch.session.crashes import NO_SCORE
from autoresearch.session.demotion import rewrite
from autoresearch.session.evidence import REOPENED, Evidence
from autoresearch.session.optional_part import OptionalPart
from autoresearch.session.trial_runner import TrialRunner
from autoresearch.session.verdicts import verdict_columns

MAX_DRAWS = 9  # of a near miss, its screening included: after that it is too close to call for good


@dataclass
class Fillers:
    """Choose fillers, run them, and judge again what they tell about; hold the lock when calling a method."""

    context: SessionContext
    evidence: Evidence
    trials: TrialRunner
    forget: Callable[[], None] = lambda: None  # called when what others may have read of an experiment has changed
    _part: OptionalPart = field(init=False)

    def __post_init__(self) -> None:
        self._part = OptionalPart(self.context, "fillers")

    def run(self, referee: Referee, is_unwanted: Callable[[], bool]) -> list[Experiment] | None:
        """Run one filler; return the near misses that are candidates again. None if there is nothing to measure."""
        return self._part.run(lambda: self._run(referee, is_unwanted), None)

    def _run(self, referee: Referee, is_unwanted: Callable[[], bool]) -> list[Experiment] | None:
        subject = self._choose()
        return None if subject is None else self._measure(subject, referee, is_unwanted)

    def measure_again(self, n: int, referee: Referee, is_unwanted: Callable[[], bool]) -> list[Experiment]:
        """Measure a version that others are derived from, like a near miss; return what is a candidate again."""
        return self._part.run(lambda: self._measure_again(n, referee, is_unwanted), [])

    def _measure_again(self, n: int, referee: Referee, is_unwanted: Callable[[], bool]) -> list[Experiment]:
        row = self.context.experiment(n)
        if not self._can_measure(row) or len(self.evidence.draws_of(row)) >= MAX_DRAWS:
            return []
        return self._measure(row, referee, is_unwanted)

    def _measure(self, subject: Experiment, referee: Referee, is_unwanted: Callable[[], bool]) -> list[Experiment]:
        result = self.trials.run(subject, FILLER, referee, is_unwanted)
        now = self.context.experiment(subject.n)  # another slot may have reopened it
        near = {row.n: row for row in [*self._near_misses(), *self._of_incumbent([now])]}.values()
        if result.ended_early or not near:
            return []
        again = [self._judge_again(row.n) for row in near]
        self.forget()
        self.context.write_results()
        return [row for row in again if row is not None]

    def _choose(self) -> Experiment | None:
        """Return the version to measure: the likeliest near miss, or the incumbent where that tells more."""
        context, evidence = self.context, self.evidence
        if context.row.judge == "greedy" or evidence.is_exact:  # greedy compares with the lowest score of the incumbent
            return None
        incumbent = evidence.incumbent()
        for row in self._near_misses():
            draws = evidence.draws_of(row)
            if len(draws) < MAX_DRAWS and self._can_measure(row):
                asked = judge.more_informative(draws, evidence.draws_of(incumbent), evidence.noise())
                if asked == "run_again":
                    return context.experiment(row.n)
                break
        return context.experiment(incumbent.n) if self._can_measure(incumbent) else None

    def _near_misses(self) -> list[Experiment]:
        """Return the settled near misses that were compared with the incumbent, the likeliest first."""
        rows = self.context.ledger.experiments(self.context.id, verdict="discard")
        near = [row for row in rows if row.near_miss and row.state == "settled"]
        return sorted(self._of_incumbent(near), key=lambda row: -(row.p_gain or 0.0))

    def _of_incumbent(self, rows: Sequence[Experiment]) -> list[Experiment]:
        """Return the discards among settled experiments that were compared with the incumbent."""
        incumbent, lost = self.evidence.incumbent().n, [row for row in rows if row.verdict == "discard"]
        same = [row for row in lost if self.evidence.rival(row).n == incumbent and self.evidence.trials(row)]
        branches = {row.n for row in same if row.mode in BRANCHES}
        known = {row.n: row for row in self.context.ledger.experiments(self.context.id)} if branches else {}
        earlier = {n for n in branches if (found := baseline(known[n], known)) is None or found.n != incumbent}
        return [row for row in same if row.n not in earlier]

    def _can_measure(self, row: Experiment) -> bool:
        """Return whether no trial of a version runs on another slot, and no filler of it has failed."""
        trials = self.context.ledger.trials(self.context.id, row.id)
        return not any(trial.outcome is None or _has_failed(trial) for trial in trials)

    def _judge_again(self, n: int) -> Experiment | None:
        """Update the verdict of a near miss; return it as a candidate if it has to be measured further."""
        row = self.context.experiment(n)
        if self.evidence.next_purpose(row) is None:
            self.context.ledger.update_experiment(row.id, **NO_SCORE | verdict_columns(self.evidence, row))
            rewrite(self.context, n)
            return None
        newest = self.context.ledger.trials(self.context.id, row.id)[-1].id  # a clock may be set back, ids are not
        self.context.emit(REOPENED, n, "a gain has become likelier: it is measured further", newest_trial=newest)
        return self.context.advance(row, "measuring", verdict=None, reason=None)


def _has_failed(trial: Trial) -> bool:
    return trial.purpose == FILLER and trial.outcome not in (None, "ok", "infra")
