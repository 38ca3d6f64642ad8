"""Evidence of a session with two pools: a candidate is screened in one before the other may keep it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from autoresearch import judge
from autoresearch.judge import Beliefs, Decision, Draw, Noise
from autoresearch.ledger import Experiment
from autoresearch.ledger.rows import ELSEWHERE, PRESCREEN, REFERENCE
from autoresearch.measure.settings import CONFIRM, SCREEN
from autoresearch.metric import EXACT, RATE
from autoresearch.session.constraints import Constraints
from autoresearch.session.context import SessionContext
from autoresearch.session.describe import Columns
from autoresearch.session.evidence import Evidence, prior_noise
from autoresearch.session.screening import DROP, PROMOTE, Decide, Screening, ScreenPool
from autoresearch.session.verdicts import VERDICT_OF


def pool_of(purpose: str) -> str:
    """Return the pool in which trials with a purpose run."""
    return SCREEN if purpose in ELSEWHERE else CONFIRM


def make_evidence(
    context: SessionContext, replicates: int, constraints: Constraints, pool: ScreenPool | None
) -> Evidence:
    """Return the evidence of a session with one pool, or with two."""
    parts = context, replicates, prior_noise(context.ledger, context.row), constraints
    if pool is None:
        return Evidence(*parts)
    return TwoPoolEvidence(*parts, screening=Screening(context, pool, replicates))


@dataclass(frozen=True)
class TwoPoolEvidence(Evidence):
    """Answer from the confirming pool alone, as with one pool; before its first trial there, from the other alone."""

    screening: Screening = field(kw_only=True)

    def next_purpose(self, experiment: Experiment) -> str | None:
        purpose = super().next_purpose(experiment)
        if purpose is None or not self.is_screened(experiment):
            return purpose
        step = self._step(experiment)
        return purpose if step == PROMOTE else None if step == DROP else step

    def is_screened(self, experiment: Experiment) -> bool:
        """Return whether the screening pool says what comes next: nothing was measured in the other one yet."""
        has_noise = self.metric.kind not in (EXACT, RATE)
        return experiment.n > 0 and has_noise and not self.trials(experiment) and not self.is_superseded(experiment)

    def record_screening(self, experiment: Experiment) -> None:
        """Record whether a candidate is dropped or promoted, once its prescreen says so."""
        if self.is_screened(experiment):
            self.screening.record(experiment, self.rival(experiment), self._rule_there(experiment))

    def subject(self, experiment: Experiment, purpose: str) -> Experiment:
        return super().subject(experiment, "sentinel" if purpose == REFERENCE else purpose)

    def seed(self, experiment: Experiment, purpose: str) -> int:
        if purpose in ELSEWHERE:
            return self.screening.seed(purpose, experiment, self.rival(experiment))
        return super().seed(experiment, purpose)

    def verdict_elsewhere(self, experiment: Experiment) -> Columns | None:
        if not self.is_screened(experiment) or self._step(experiment) != DROP:
            return None
        if (failed := self.screening.find_failed(experiment)) is not None:
            where = f"{failed.outcome} in its {PRESCREEN} on {self.screening.pool.kind}"
            reason = f"{where}: {failed.result.get('reason', '')}"
            return {"verdict": VERDICT_OF.get(failed.outcome or "", "crash"), "reason": reason}
        found = self.screening.assess(experiment, self.rival(experiment), self._rule_there(experiment))
        return {"verdict": "discard", "reason": found.reason, "p_gain": found.p_gain}

    def _step(self, experiment: Experiment) -> str:
        return self.screening.next_step(experiment, self.rival(experiment), self._rule_there(experiment))

    def _rule_there(self, experiment: Experiment) -> Decide:
        """Return the session's rule for draws of the screening pool, with the same allowance for less code."""
        allowance, same = self.allowance(experiment)
        name, metric = judge.rule_for(self.context.row.judge, self.metric), self.metric

        def decide(ours: Sequence[Draw], theirs: Sequence[Draw], noise: Noise, beliefs: Beliefs) -> Decision:
            return judge.decide(name, ours, theirs, noise, beliefs, allowance, same, metric)

        return decide
