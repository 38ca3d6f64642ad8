"""The target of a session: it ends when the fresh draws of the incumbent are below a score."""

import time
from dataclasses import dataclass

from autoresearch import judge
from autoresearch.errors import UserError, require
from autoresearch.ledger import Experiment, status
from autoresearch.ledger.session_status import REACHED, TARGET
from autoresearch.ledger.trials import FRESH
from autoresearch.measure.referee import Referee
from autoresearch.session.context import SessionContext
from autoresearch.session.evidence import Evidence
from autoresearch.session.stopping import SessionControl
from autoresearch.session.trial_runner import TrialRunner

PROBABILITY = 0.95  # that the mean of the incumbent is below the target
REASON = "target reached"  # to stop


@dataclass(frozen=True)
class Target:
    """Compare the incumbent with the target of a run, if it has one; hold the lock when calling a method.

    The draw that selected a version does not count.
    """

    context: SessionContext
    evidence: Evidence
    trials: TrialRunner
    control: SessionControl

    @property
    def val_bpb(self) -> float | None:
        return self.control.limits.target

    def begin(self) -> None:
        """Record the target where it has changed. Raises UserError if the base is below it."""
        context, known = self.context, status(self.context.ledger, self.context.row, time.time()).target
        if self.val_bpb != (known.val_bpb if known else None):
            context.emit(TARGET, None, self._describe() or "none any more", val_bpb=self.val_bpb)
        incumbent = self.evidence.incumbent()
        metric = context.row.metric
        if self.val_bpb is None or incumbent.n > 0:
            return
        if not metric.beats(score := require(incumbent.val_bpb), self.val_bpb):
            return
        side = "above" if metric.goal == "max" else "below"
        words = f"the target {metric.score(self.val_bpb)} is not {side} the base, {metric.score(score)}"
        raise UserError(f"{words}: choose a {metric.comparative} one")

    def check(self) -> str | None:
        """Return the reason to stop, and record it, if the incumbent is below the target."""
        if self.val_bpb is None:
            return None
        incumbent = self.evidence.incumbent()
        scores = self._fresh_scores(incumbent)
        if not scores or self._p_below(scores, len(scores)) < PROBABILITY:
            return None
        self._record(incumbent, len(scores))
        self.control.ending = self.control.ending or REASON
        return REASON

    def measure(self, referee: Referee) -> bool:
        """Measure the incumbent once more if one more draw at its mean would decide; return whether it was."""
        if self.val_bpb is None or self._cannot_measure(incumbent := self.evidence.incumbent()):
            return False
        scores = self._fresh_scores(incumbent)
        recorded = self.context.row.metric.to_scale(require(incumbent.val_bpb))
        if self._p_below(scores or [recorded], len(scores) + 1) < PROBABILITY:
            return False
        self.trials.run(incumbent, "sentinel", referee)
        return True

    def _p_below(self, scores: list[float], draws: int) -> float:
        target = self.context.row.metric.to_scale(require(self.val_bpb))
        return judge.p_below(target, scores, draws, self.evidence.noise())

    def _describe(self) -> str:
        """Return the target in words; empty if there is none."""
        metric = self.context.row.metric
        return "" if self.val_bpb is None else f"{metric.name} {metric.score(self.val_bpb)}"

    def _fresh_scores(self, experiment: Experiment) -> list[float]:
        fresh = [trial for trial in self.evidence.trials(experiment) if trial.purpose in FRESH]
        to_scale = self.context.row.metric.to_scale
        return [to_scale(require(trial.val_bpb)) for trial in fresh if trial.outcome == "ok"]

    def _cannot_measure(self, experiment: Experiment) -> bool:
        """Return whether a trial of the incumbent runs on another slot, or its last one failed."""
        trials = self.context.ledger.trials(self.context.id, experiment.id)
        counted = self.evidence.trials(experiment)
        return any(trial.outcome is None for trial in trials) or any(trial.outcome != "ok" for trial in counted[-1:])

    def _record(self, incumbent: Experiment, draws: int) -> None:
        """Record when the target was reached, once for each target."""
        state = status(self.context.ledger, self.context.row, time.time())
        if state.target is not None and state.target.n is None:
            words = f"{self._describe()}, by {draws} fresh draws"
            counts = {"seconds": round(state.seconds, 1), "experiments": state.experiments}
            self.context.emit(REACHED, incumbent.n, words, val_bpb=self.val_bpb, draws=draws, **counts)
