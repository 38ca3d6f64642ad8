"""Evidence from a session's trials: incumbent, scores, noise, next trial, verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from autoresearch import judge
from autoresearch.errors import UserError, require
from autoresearch.judge import Draw
from autoresearch.ledger import Experiment, Ledger, Session, Trial
from autoresearch.ledger.overhead import base_overhead
from autoresearch.ledger.rows import EQUAL_SCORE, FILLER, SAME_AS
from autoresearch.ledger.scores import effects, numbered_draws
from autoresearch.ledger.statements import is_near_miss
from autoresearch.ledger.trials import FRESH, JUDGING, judging
from autoresearch.ledger.unmeasured import SUPERSEDED
from autoresearch.measure.result import Overhead
from autoresearch.session.constraints import Constraints
from autoresearch.session.context import SessionContext
from autoresearch.session.describe import Columns
from autoresearch.session.drift import machine_changed
from autoresearch.source import size

MAX_FAILED_SENTINELS = 2  # trials of the incumbent that may fail in a row before its earlier scores must do
SENTINEL_EVERY_TRIALS = 20  # the incumbent is measured again after so many trials in any case
NEXT_PURPOSE = {"run_again": "rerun", "compare": "sentinel"}  # of the trial that the judge asks for
DRIFT_PROBABILITY = 0.99865  # three sigma, where sigma is known: drift is reported above it
VERDICT_OF = {"suspect": "suspect", "invalid": "invalid"}  # of other outcomes without a score: crash
REOPENED = "reopened"  # kind of the event of a near miss that is a candidate again


def prior_noise(ledger: Ledger, session: Session) -> tuple[float, float] | None:
    """Return sigma and its degrees of freedom from comparable sessions, if any."""
    others = [other for other in ledger.sessions() if other.id != session.id and other.identity == session.identity]
    comparable = [other for other in others if other.settings == session.settings]
    noises = [judge.noise(list(_draws(ledger, other.id, FRESH).values())) for other in comparable]
    squares, dof = sum(noise.sigma**2 * noise.dof for noise in noises), sum(noise.dof for noise in noises)
    return (float((squares / dof) ** 0.5), dof) if dof else None


def _draws(ledger: Ledger, session_id: int, purposes: Sequence[str]) -> dict[int, list[Draw]]:
    """Return the scores of trials with these purposes, by the id of their experiment."""
    groups: dict[int, list[Draw]] = {}
    for experiment_id, purpose, score, at, seed in numbered_draws(ledger, session_id):
        if purpose in purposes:
            groups.setdefault(experiment_id, []).append(Draw(score, at, seed))
    return groups


@dataclass(frozen=True)
class Evidence:
    """Answer questions about the trials of one session, for the judge and for briefs."""

    context: SessionContext
    replicates: int  # trials of the base, and of any incumbent before a candidate is compared with it
    prior: tuple[float, float] | None = None  # sigma and degrees of freedom from earlier sessions
    constraints: Constraints = field(default_factory=Constraints)

    def incumbent(self) -> Experiment:
        kept = self._keeps()
        return [row for row in kept if row.state == "settled" or row.n == 0][-1]

    def rival(self, experiment: Experiment) -> Experiment:
        """Return the version that an experiment has to beat: the incumbent for which it was made.

        While it waited, or was measured on one of several slots, another may have become the incumbent, or that one
        may have been found suspect.
        """
        incumbent, row = self.incumbent(), experiment
        while row.n != incumbent.n and row.parent is not None:
            branches, row = row.mode == "branch", self.context.experiment(row.parent)
            if row.found_later:
                return row
            if branches:  # it does not start from an incumbent
                return incumbent
            if row.verdict == "keep":
                return row
        return incumbent

    def is_superseded(self, experiment: Experiment) -> bool:
        """Return whether a newer incumbent has replaced an experiment's rival."""
        return experiment.n > 0 and self.rival(experiment).n != self.incumbent().n

    def trial_index(self, experiment: Experiment) -> int:
        """Return the index of an experiment's next trial; lost trials do not count, nor fillers that still run."""
        trials = self.context.ledger.trials(self.context.id, experiment.id)
        running = (t.outcome is None and t.purpose in JUDGING and t.purpose != FILLER for t in trials)
        return len(judging(trials)) + sum(running)

    def trials(self, experiment: Experiment) -> list[Trial]:
        """Return the trials that may judge an experiment, in order."""
        return judging(self.context.ledger.trials(self.context.id, experiment.id))

    def scores(self, experiment: Experiment) -> list[float]:
        """Return the scores that stand for a version: those of fresh trials, if there are any.

        Where the trials are gone, the recorded score must do until the next one.
        """
        scores = [draw.score for draw in self._fresh_draws(experiment)]
        return scores or [score for score in (experiment.val_bpb,) if score is not None]

    def draws_of(self, experiment: Experiment) -> list[Draw]:
        """Return the draws of all trials that may judge an experiment."""
        return self._draws(JUDGING).get(experiment.id, [])

    def noise(self) -> judge.Noise:
        return judge.noise(list(self._draws(FRESH).values()), self.prior)

    def base_overhead(self, n: int) -> Overhead | None:
        """Return what limits the time of the trials of experiment `n`; None for the human's base."""
        spent = base_overhead(self.context.ledger, self.context.row, n)
        return Overhead(**spent) if spent else None

    def next_purpose(self, experiment: Experiment) -> str | None:
        """Return the purpose of the trial that an experiment needs next; None if it needs none."""
        trials = self.trials(experiment)
        if trials and (trials[-1].outcome != "ok" or self._violation(trials)):
            return None
        if experiment.n == 0:
            return "base" if len(trials) < self.replicates else None
        if self.is_superseded(experiment):
            return None
        if not trials:
            return "sentinel" if self._is_sentinel_due(experiment) else "screen"
        purpose = NEXT_PURPOSE.get(self._judge(experiment).action)
        return "rerun" if purpose == "sentinel" and self._fails_now(self.rival(experiment)) else purpose

    def subject(self, experiment: Experiment, purpose: str) -> Experiment:
        """Return the version that a trial measures: the experiment, or its rival."""
        return self.context.experiment(self.rival(experiment).n if purpose == "sentinel" else experiment.n)

    def seed(self, experiment: Experiment, purpose: str) -> int:
        """Return the seed of the next trial: the same when a lost one is run again.

        A sentinel beside a candidate that was measured gets the seed of one of its re-runs: they make a pair.
        """
        row = self.context.row
        if purpose == "sentinel" and self.trials(experiment):
            return row.seed_of(experiment.n, 1 + len(self._sentinels_beside(experiment)))
        subject = self.subject(experiment, purpose)
        return row.seed_of(subject.n, self.trial_index(subject))

    def hopeless_above(self, experiment: Experiment) -> float:
        """Return the claim above which a screening has lost, audited or not."""
        return judge.hopeless_above(self._fresh_draws(self.rival(experiment)), self.noise())

    def may_keep(self, experiment: Experiment, val_bpb: float) -> bool:
        """Return whether a trial with this score would suffice for a keep."""
        draws = self._draws(JUDGING)
        now = 1 + max(draw.at for group in draws.values() for draw in group)
        after = [*draws[experiment.id], Draw(val_bpb, now, self.seed(experiment, "rerun"))]
        return self._decide(experiment, after).action in ("compare", "keep")

    def drift_warning(self, experiment: Experiment) -> str | None:
        """Return a warning if the newest fresh trial of a version is far from the earlier ones."""
        draws = self._draws(FRESH)
        if len(fresh := draws.get(experiment.id, [])) < 3:
            return None
        *before, now = fresh
        noise = judge.noise(list((draws | {experiment.id: before}).values()), self.prior)
        away = now.score - fmean(draw.score for draw in before)
        error = noise.sigma * (1 + 1 / len(before)) ** 0.5
        if judge.p_below_zero(-abs(away), error, noise.dof) < DRIFT_PROBABILITY:
            return None
        scores = f"experiment {experiment.n} scores {away / noise.sigma:+.1f} sigma from before"
        return f"{scores}: the machine has changed, older trials count for less"

    def _is_sentinel_due(self, experiment: Experiment) -> bool:
        rival = self.rival(experiment)
        trials, fresh = self.trials(rival), self._fresh_trials(rival)
        if all(trial.outcome != "ok" for trial in trials):  # its records are gone
            if self._fails_now(rival):
                words = f"experiment {rival.n}, the incumbent, cannot be measured here: {trials[-1].reason}"
                raise UserError(f"{words}; see `autoresearch doctor`")
            return True
        if self.context.row.judge == "greedy" and experiment.mode not in judge.SIMPLER_MODES:
            return False
        if self._fails_now(rival):
            return False
        if sum(trial.outcome == "ok" for trial in fresh) < self.replicates:
            return True
        since = judging(self.context.ledger.trials_after(self.context.id, trials[-1].id))
        return len(since) >= SENTINEL_EVERY_TRIALS or machine_changed(trials, since)

    def _fails_now(self, experiment: Experiment) -> bool:
        """Return whether the last trials of an incumbent failed: then its earlier scores must do."""
        last = self._fresh_trials(experiment)[-MAX_FAILED_SENTINELS:]
        return len(last) == MAX_FAILED_SENTINELS and all(trial.outcome != "ok" for trial in last)

    def _fresh_trials(self, experiment: Experiment) -> list[Trial]:
        return [trial for trial in self.trials(experiment) if trial.purpose in FRESH]

    def verdict(self, experiment: Experiment) -> Columns:
        """Return the verdict's columns. Raises UserError if the base itself fails."""
        trials = self.trials(experiment)
        failed = next((trial for trial in trials if trial.outcome != "ok"), None)
        if experiment.n == 0:
            return self._base_verdict(trials, failed)
        if failed is not None:
            verdict, why = VERDICT_OF.get(failed.outcome or "", "crash"), failed.result.get("reason", "")
            return {"verdict": verdict, "reason": why if failed.outcome == verdict else f"{failed.outcome}: {why}"}
        if (violation := self._violation(trials)) is not None:
            return {"verdict": "invalid", "reason": violation}
        if not trials:
            return {"verdict": "discard", "reason": self._reason_without_score(experiment)}
        decision = self._judge(experiment)
        return self._judged_verdict(experiment, decision) | {
            "val_bpb": fmean(self.scores(experiment)),
            "delta": decision.delta,
            "p_gain": decision.p_gain,
            "sigma": self.noise().sigma,
        }

    def _judged_verdict(self, experiment: Experiment, decision: judge.Decision) -> Columns:
        unconfirmed = decision.action in NEXT_PURPOSE  # the time was up
        if self.is_superseded(experiment) and (unconfirmed or decision.action == "keep"):
            return {"verdict": "discard", "reason": self._reason_without_score(experiment)}
        if unconfirmed:
            why = f"the session ended before it was confirmed: {decision.reason}"
            return {"verdict": "discard", "reason": why, "near_miss": is_near_miss(decision.p_gain)}
        near = decision.action == "discard" and is_near_miss(decision.p_gain)
        return {"verdict": decision.action, "reason": decision.reason, "near_miss": near}

    def _reason_without_score(self, experiment: Experiment) -> str:
        if self.is_superseded(experiment):
            rival = self.rival(experiment)
            why = f" (experiment {rival.n}, on which it was built, is suspect)" if rival.found_later else ""
            return f"{SUPERSEDED} {self.incumbent().n}{why}"
        return "it was not measured: the session ended"

    def _base_verdict(self, trials: Sequence[Trial], failed: Trial | None) -> Columns:
        if failed is not None:
            why = f"{failed.outcome}: {failed.result.get('reason', '')}"
            raise UserError(f"the base {self.constraints.what} fails ({why}): mend and commit it, then run again")
        if (violation := self._violation(trials)) is not None:
            raise UserError(f"the base {self.constraints.what} {violation}: change it, or the limit")
        scores = [require(trial.val_bpb) for trial in trials]
        return {"verdict": "keep", "reason": "the base", "val_bpb": fmean(scores), "sigma": self.noise().sigma}

    def _violation(self, trials: Sequence[Trial]) -> str | None:
        return next((words for trial in trials if (words := self.constraints.violation(trial.result))), None)

    def _judge(self, experiment: Experiment) -> judge.Decision:
        decision = self._decide(experiment, self.draws_of(experiment))
        if decision.action == "keep" and self._needs_confirmation(experiment):
            return replace(decision, action="run_again")
        return decision

    def _needs_confirmation(self, experiment: Experiment) -> bool:
        """Return whether a near miss has become a gain without a re-run, with its larger audit, since then."""
        if not experiment.near_miss:  # only what was discarded once is one
            return False
        events = self.context.ledger.events(self.context.id, kind=REOPENED)
        reopened = [event.at for event in events if event.n == experiment.n]
        reruns = [trial.started for trial in self.trials(experiment) if trial.purpose == "rerun"]
        return not reopened or not reruns or max(reruns) < max(reopened)

    def _decide(self, experiment: Experiment, candidate: Sequence[Draw]) -> judge.Decision:
        context = self.context
        beliefs = judge.learn(effects(context.ledger, context.id))
        rival = self._fresh_draws(self.rival(experiment))
        allowance, same = None, self._is_same(experiment)
        if same or self._is_simpler(experiment):
            losses = (max(row.delta or 0.0, 0.0) / require(row.sigma) for row in self._keeps() if row.n > 0)
            allowance = judge.ALLOWANCE_SIGMA - sum(losses)
        return judge.decide(context.row.judge, candidate, rival, self.noise(), beliefs, allowance, same)

    def _is_same(self, experiment: Experiment) -> bool:
        """Return whether a change that is not meant as a gain was found to compute the function of its rival."""
        if self.context.row.judge == "greedy" or experiment.category not in EQUAL_SCORE:
            return False
        return experiment.params.get(SAME_AS) == self.rival(experiment).n

    def _is_simpler(self, experiment: Experiment) -> bool:
        """Return whether an experiment takes code, or a kept change, out of the incumbent."""
        if experiment.mode in judge.SIMPLER_MODES:
            return True
        if self.context.row.judge == "greedy":
            return False
        rival = self.context.experiment(self.rival(experiment).n)
        ours, theirs = size.size_or_none(experiment.text), size.size_or_none(rival.text)
        return bool(ours and theirs and ours.is_smaller_than(theirs))

    def _keeps(self) -> list[Experiment]:
        return self.context.ledger.experiments(self.context.id, verdict="keep")

    def _fresh_draws(self, experiment: Experiment) -> list[Draw]:
        """Return the draws of fresh trials; of all judging trials if there is none."""
        return self._draws(FRESH).get(experiment.id) or self._draws(JUDGING).get(experiment.id, [])

    def _draws(self, purposes: Sequence[str]) -> dict[int, list[Draw]]:
        return _draws(self.context.ledger, self.context.id, purposes)

    def _sentinels_beside(self, experiment: Experiment) -> list[Trial]:
        """Return the sentinels of an experiment's rival since it was screened."""
        screened = self.trials(experiment)[0].id
        return [t for t in self.trials(self.rival(experiment)) if t.purpose == "sentinel" and t.id > screened]
