"""What a session's trials say: which version leads, how it scored, how large the noise is, what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, TypeVar

from autoresearch import judge
from autoresearch.errors import UserError
from autoresearch.ledger import Experiment, Ledger, Session, Trial

T = TypeVar("T")

PATIENCE = 2  # trials of the incumbent that may fail beside a candidate
NEXT = {"run_again": "rerun", "compare": "sentinel"}  # purposes of trials that the judge asks for

JUDGING = ("base", "screen", "rerun", "sentinel")  # purposes of trials; those of the honest total decide nothing


def known(value: T | None) -> T:
    """A value that the state of its experiment guarantees."""
    assert value is not None
    return value


@dataclass(frozen=True)
class Evidence:
    """Questions to the ledger about one session, answered for the judge and for briefs."""

    ledger: Ledger
    session: Session
    replicates: int  # trials of the base

    def incumbent(self) -> Experiment:
        """The best kept version so far."""
        kept = self.ledger.experiments(self.session.id, verdict="keep")
        return [row for row in kept if row.state == "settled" or row.n == 0][-1]

    def trials(self, experiment: Experiment) -> list[Trial]:
        """The trials of an experiment that ended by themselves and may judge it, in order."""
        trials = self.ledger.trials(self.session.id, experiment.id)
        return [trial for trial in trials if trial.outcome not in (None, "infra") and trial.purpose in JUDGING]

    def scores(self, experiment: Experiment) -> list[float]:
        """The scores that a version is known by: without the draw that selected it, where there is a fresh one."""
        good = [trial for trial in self.trials(experiment) if trial.outcome == "ok"]
        fresh = [trial for trial in good if trial.purpose != "screen"]
        return [known(trial.val_bpb) for trial in fresh or good]

    def noise(self) -> judge.Noise:
        """Spread of single trials around their version's mean, pooled over the session."""
        return judge.noise(self.ledger.scores(self.session.id, JUDGING))

    def base_seconds(self) -> tuple[float, float] | None:
        """What the base's slowest trial took to set up and to score; None before it was measured."""
        base = self.ledger.experiment(self.session.id, 0)
        results = [trial.result for trial in self.trials(base)] if base else []
        if not results:
            return None
        return max(r["setup_seconds"] for r in results), max(r["score_seconds"] for r in results)

    def next_purpose(self, experiment: Experiment) -> str | None:
        """The purpose of the trial that an experiment needs next, if it needs one."""
        trials = self.trials(experiment)
        if trials and trials[-1].outcome != "ok":
            return None
        if experiment.n == 0:
            return "base" if len(trials) < self.replicates else None
        if not trials:
            return "screen"
        if sum(trial.outcome != "ok" for trial in self._beside(trials)) >= PATIENCE:
            return None
        return NEXT.get(self._judge(trials).action)

    def hopeless_above(self) -> float:
        """A screening claim above this has lost, audited or not."""
        return judge.hopeless_above(self.scores(self.incumbent()), self.noise())

    def may_keep(self, experiment: Experiment, val_bpb: float) -> bool:
        """Whether the experiment may become a keep without a further trial after one with this score."""
        trials = self.trials(experiment)
        scores = [known(trial.val_bpb) for trial in trials]
        enough = len(scores) >= judge.MIN_FRESH  # the screening aside, and this one counted
        return enough and self._decide([*scores, val_bpb], trials).action in ("compare", "keep")

    def subject(self, experiment: Experiment, purpose: str) -> Experiment:
        """What a trial of this purpose measures: the experiment, or for a sentinel the incumbent beside it."""
        n = self.incumbent().n if purpose == "sentinel" else experiment.n
        return known(self.ledger.experiment(self.session.id, n))

    def verdict(self, experiment: Experiment) -> dict[str, Any]:
        """The columns that a measured experiment gets. Raises UserError where the base itself fails."""
        trials = self.trials(experiment)
        failed = next((trial for trial in trials if trial.outcome != "ok"), None)
        if experiment.n == 0:
            return self._base_verdict(trials, failed)
        if failed is not None:
            verdict = "suspect" if failed.outcome == "suspect" else "crash"
            return {"verdict": verdict, "reason": f"{failed.outcome}: {failed.result.get('reason', '')}"}
        decision = self._judge(trials)
        unconfirmed = decision.action in NEXT  # the session's time was up, or the incumbent could not be measured
        return {
            "verdict": "discard" if unconfirmed else decision.action,
            "reason": f"it could not be confirmed: {decision.reason}" if unconfirmed else decision.reason,
            "near_miss": decision.near_miss or unconfirmed,
            "val_bpb": fmean(self.scores(experiment)),
            "delta": decision.delta,
            "p_gain": decision.p_gain,
            "sigma": self.noise().sigma,
        }

    def _base_verdict(self, trials: Sequence[Trial], failed: Trial | None) -> dict[str, Any]:
        if failed is not None:
            why = f"{failed.outcome}: {failed.result.get('reason', '')}"
            raise UserError(f"the base train.py fails ({why}): mend and commit it, then run again")
        scores = [known(trial.val_bpb) for trial in trials]
        sigma = judge.noise([scores]).sigma
        return {"verdict": "keep", "reason": "the base", "val_bpb": fmean(scores), "sigma": sigma}

    def _judge(self, trials: Sequence[Trial]) -> judge.Decision:
        return self._decide([known(trial.val_bpb) for trial in trials], trials)

    def _decide(self, scores: Sequence[float], trials: Sequence[Trial]) -> judge.Decision:
        beside = [known(trial.val_bpb) for trial in self._beside(trials) if trial.outcome == "ok"]
        return judge.decide(self.session.judge, scores, self.scores(self.incumbent()), self.noise(), beside)

    def _beside(self, trials: Sequence[Trial]) -> list[Trial]:
        """Trials of the incumbent since an experiment was screened."""
        if not trials:
            return []
        sentinels = [trial for trial in self.trials(self.incumbent()) if trial.purpose == "sentinel"]
        return [trial for trial in sentinels if trial.id > trials[0].id]
