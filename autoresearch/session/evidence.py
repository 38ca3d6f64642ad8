"""What a session's trials say: which version leads, how it scored, how large the noise is, what comes next."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from autoresearch import judge
from autoresearch.errors import UserError, require
from autoresearch.judge import Draw
from autoresearch.ledger import Experiment, Ledger, Session, Trial
from autoresearch.ledger.scores import effects, numbered
from autoresearch.ledger.trials import FRESH, JUDGING, judging
from autoresearch.session.constraints import Constraints
from autoresearch.session.drift import odd
from autoresearch.source import size

PATIENCE = 2  # trials of the incumbent that may fail beside a candidate
EVERY = 20  # trials after which the incumbent is measured again in any case
NEXT = {"run_again": "rerun", "compare": "sentinel"}  # purposes of trials that the judge asks for
DRIFT = 0.99865  # how sure it is that the machine has changed before it is told: three sigma, where sigma is known
# how the reason of a candidate begins whose incumbent was not the best any more
SUPERSEDED = "superseded by experiment"


def earlier(ledger: Ledger, session: Session) -> tuple[float, float] | None:
    """Sigma and its degrees of freedom from other sessions with the same identity and budget, if there are any."""
    squares, dof = 0.0, 0.0
    for other in ledger.sessions():
        if other.id == session.id or not _comparable(other, session):
            continue
        found = judge.noise(list(drawn(ledger, other, FRESH).values()))
        squares, dof = squares + found.sigma**2 * found.dof, dof + found.dof
    return (float((squares / dof) ** 0.5), dof) if dof else None


def _comparable(other: Session, session: Session) -> bool:
    return other.identity == session.identity and other.settings == session.settings


def drawn(ledger: Ledger, session: Session, purposes: Sequence[str]) -> dict[int, list[Draw]]:
    """The scores of trials with these purposes, as the judge sees them, by the id of their experiment."""
    groups: dict[int, list[Draw]] = {}
    for experiment_id, purpose, score, at, seed in numbered(ledger, session.id):
        if purpose in purposes:
            groups.setdefault(experiment_id, []).append(Draw(score, at, seed))
    return groups


@dataclass(frozen=True)
class Evidence:
    """Questions to the ledger about one session, answered for the judge and for briefs."""

    ledger: Ledger
    session: Session
    replicates: int  # trials of the base; any incumbent is measured as often before something is held against it
    earlier: tuple[float, float] | None = None
    constraints: Constraints = field(default_factory=Constraints)

    def incumbent(self) -> Experiment:
        """The best kept version so far."""
        kept = self.ledger.experiments(self.session.id, verdict="keep")
        return [row for row in kept if row.state == "settled" or row.n == 0][-1]

    def rival(self, experiment: Experiment) -> Experiment:
        """The version that an experiment has to beat: the incumbent for which it was made.

        While it waited, or was measured on one of several slots, another may have become the incumbent.
        """
        incumbent, row = self.incumbent(), experiment
        while row.n != incumbent.n:
            if row.mode == "branch" or row.parent is None:  # it was to beat the incumbent from elsewhere
                return incumbent
            row = require(self.ledger.experiment(self.session.id, row.parent))
            if row.verdict == "keep":
                return row
        return incumbent

    def superseded(self, experiment: Experiment) -> bool:
        """Whether there is a better incumbent than the one that an experiment was made for."""
        return experiment.n > 0 and self.rival(experiment).n != self.incumbent().n

    def begun(self, experiment: Experiment) -> int:
        """How many trials of an experiment were begun and not lost: the number of the next one."""
        trials = self.ledger.trials(self.session.id, experiment.id)
        return sum(trial.outcome != "infra" and trial.purpose in JUDGING for trial in trials)

    def trials(self, experiment: Experiment) -> list[Trial]:
        """The trials of an experiment that ended by themselves and may judge it, in order."""
        return judging(self.ledger.trials(self.session.id, experiment.id))

    def scores(self, experiment: Experiment) -> list[float]:
        """The scores that a version is known by."""
        return [draw.score for draw in self._known(experiment)]

    def noise(self) -> judge.Noise:
        """How scores of one version vary in this session."""
        return judge.noise(list(self._drawn(FRESH).values()), self.earlier)

    def base_seconds(self) -> tuple[float, float] | None:
        """What the base's slowest trial took to set up and to score; None before it was measured."""
        base = self.ledger.experiment(self.session.id, 0)
        results = [trial.result for trial in self.trials(base)] if base else []
        if not results:
            return None
        return max(r["setup_seconds"] for r in results), max(r["score_seconds"] for r in results)

    # --- what comes next

    def next_purpose(self, experiment: Experiment) -> str | None:
        """The purpose of the trial that an experiment needs next, if it needs one."""
        trials = self.trials(experiment)
        if trials and (trials[-1].outcome != "ok" or self._violation(trials)):
            return None
        if experiment.n == 0:
            return "base" if len(trials) < self.replicates else None
        if self.superseded(experiment):
            return None
        if not trials:
            return "sentinel" if self._due(experiment) else "screen"
        if sum(trial.outcome != "ok" for trial in self._beside(experiment)) >= PATIENCE:
            return None
        return NEXT.get(self._judge(experiment).action)

    def subject(self, experiment: Experiment, purpose: str) -> Experiment:
        """What a trial of this purpose measures: the experiment, or for a sentinel the incumbent beside it."""
        n = self.rival(experiment).n if purpose == "sentinel" else experiment.n
        return require(self.ledger.experiment(self.session.id, n))

    def seed(self, experiment: Experiment, purpose: str) -> int:
        """The seed of the next trial: the same when a lost one is run again.

        A trial of the incumbent beside a candidate gets the seed of one of its re-runs: they make a pair.
        """
        trials = self.trials(experiment)
        if purpose == "sentinel" and trials:
            return self.session.seed_of(experiment.n, 1 + len(self._beside(experiment)))
        subject = self.subject(experiment, purpose)
        return self.session.seed_of(subject.n, self.begun(subject))

    def hopeless_above(self, experiment: Experiment) -> float:
        """A screening claim above this has lost, audited or not."""
        return judge.hopeless_above(self._known(self.rival(experiment)), self.noise())

    def may_keep(self, experiment: Experiment, val_bpb: float) -> bool:
        """Whether the experiment may become a keep without a further trial of it, after one with this score."""
        draws = self._drawn(JUDGING)
        now = 1 + max(draw.at for group in draws.values() for draw in group)
        after = [*draws[experiment.id], Draw(val_bpb, now, self.seed(experiment, "rerun"))]
        return self._decide(experiment, after).action in ("compare", "keep")

    def drifted(self, experiment: Experiment) -> str | None:
        """What the newest fresh trial of a version says about the machine, if it is far from the ones before."""
        drawn = self._drawn(FRESH)
        *before, now = drawn[experiment.id]
        if len(before) < 2:
            return None
        unquestioned = drawn | {experiment.id: before}
        noise = judge.noise(list(unquestioned.values()), self.earlier)
        away = now.score - fmean(draw.score for draw in before)
        error = noise.sigma * (1 + 1 / len(before)) ** 0.5
        if judge.p_below_zero(-abs(away), error, noise.dof) < DRIFT:
            return None
        told = f"experiment {experiment.n} scores {away / noise.sigma:+.1f} sigma from before"
        return f"{told}: the machine has changed, older trials count for less"

    def _due(self, experiment: Experiment) -> bool:
        """Whether the incumbent has to be measured again before an experiment is held against it."""
        if self.session.judge == "greedy" and experiment.mode not in judge.SIMPLER_MODES:
            return False
        trials = self.trials(self.rival(experiment))
        sentinels = [trial for trial in trials if trial.purpose in FRESH]
        if len(sentinels) >= PATIENCE and all(trial.outcome != "ok" for trial in sentinels[-PATIENCE:]):
            return False
        if sum(trial.outcome == "ok" for trial in sentinels) < self.replicates:
            return True
        since = judging(self.ledger.trials_after(self.session.id, trials[-1].id))
        return len(since) >= EVERY or odd(trials, since)

    # --- verdicts

    def verdict(self, experiment: Experiment) -> dict[str, Any]:
        """The columns that a measured experiment gets. Raises UserError where the base itself fails."""
        trials = self.trials(experiment)
        failed = next((trial for trial in trials if trial.outcome != "ok"), None)
        if experiment.n == 0:
            return self._base_verdict(trials, failed)
        if failed is not None:
            verdict, why = "suspect" if failed.outcome == "suspect" else "crash", failed.result.get("reason", "")
            return {"verdict": verdict, "reason": why if failed.outcome == verdict else f"{failed.outcome}: {why}"}
        if (violation := self._violation(trials)) is not None:
            return {"verdict": "invalid", "reason": violation}
        if not trials:
            return {"verdict": "discard", "reason": self._unmeasured(experiment)}
        decision = self._judge(experiment)
        return self._settled(experiment, decision) | {
            "val_bpb": fmean(self.scores(experiment)),
            "delta": decision.delta,
            "p_gain": decision.p_gain,
            "sigma": self.noise().sigma,
        }

    def _settled(self, experiment: Experiment, decision: judge.Decision) -> dict[str, Any]:
        unconfirmed = decision.action in NEXT  # the session's time was up, or the incumbent could not be measured
        if self.superseded(experiment) and (unconfirmed or decision.action == "keep"):
            return {"verdict": "discard", "reason": self._unmeasured(experiment)}
        if unconfirmed:
            return {"verdict": "discard", "reason": f"it could not be confirmed: {decision.reason}", "near_miss": True}
        return {"verdict": decision.action, "reason": decision.reason, "near_miss": decision.near_miss}

    def _unmeasured(self, experiment: Experiment) -> str:
        if self.superseded(experiment):
            return f"{SUPERSEDED} {self.incumbent().n}"
        return "it was not measured: the session ended"

    def _base_verdict(self, trials: Sequence[Trial], failed: Trial | None) -> dict[str, Any]:
        if failed is not None:
            why = f"{failed.outcome}: {failed.result.get('reason', '')}"
            raise UserError(f"the base train.py fails ({why}): mend and commit it, then run again")
        if (violation := self._violation(trials)) is not None:
            raise UserError(f"the base train.py {violation}: change it, or the limit")
        scores = [require(trial.val_bpb) for trial in trials]
        return {"verdict": "keep", "reason": "the base", "val_bpb": fmean(scores), "sigma": self.noise().sigma}

    def _violation(self, trials: Sequence[Trial]) -> str | None:
        return next((words for trial in trials if (words := self.constraints.violated(trial.result))), None)

    def _judge(self, experiment: Experiment) -> judge.Decision:
        return self._decide(experiment, self._drawn(JUDGING)[experiment.id])

    def _decide(self, experiment: Experiment, candidate: Sequence[Draw]) -> judge.Decision:
        beliefs = judge.learn(effects(self.ledger, self.session.id))
        rival = self._known(self.rival(experiment))
        simpler = self._allowance() if self._simpler(experiment) else None
        return judge.decide(self.session.judge, candidate, rival, self.noise(), beliefs, simpler)

    def _simpler(self, experiment: Experiment) -> bool:
        """Whether it takes code, or a kept change, out of the incumbent."""
        if experiment.mode in judge.SIMPLER_MODES:
            return True
        if self.session.judge == "greedy":
            return False
        rival = require(self.ledger.experiment(self.session.id, self.rival(experiment).n))
        ours, theirs = size.size(require(experiment.text)), size.size(require(rival.text))
        return ours.lines < theirs.lines and ours.tokens < theirs.tokens

    def _allowance(self) -> float:
        """How many sigma simplifications may still cost in this session."""
        kept = self.ledger.experiments(self.session.id, verdict="keep")
        return judge.ALLOWANCE_SIGMA - sum(max(row.delta or 0.0, 0.0) / require(row.sigma) for row in kept if row.n > 0)

    def _known(self, experiment: Experiment) -> list[Draw]:
        return self._drawn(FRESH).get(experiment.id) or self._drawn(JUDGING)[experiment.id]

    def _drawn(self, purposes: Sequence[str]) -> dict[int, list[Draw]]:
        return drawn(self.ledger, self.session, purposes)

    def _beside(self, experiment: Experiment) -> list[Trial]:
        """Trials of its rival since an experiment was screened."""
        screened = self.trials(experiment)[0].id
        return [t for t in self.trials(self.rival(experiment)) if t.purpose == "sentinel" and t.id > screened]
