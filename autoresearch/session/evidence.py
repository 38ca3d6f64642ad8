"""Evidence from a session's trials: incumbent, scores, noise, next trial, verdict."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from autoresearch import judge
from autoresearch.analysis.draws import Draws, equal_speed_draws, session_draws, speed_effect
from autoresearch.analysis.session_noise import earlier_noise
from autoresearch.errors import UserError
from autoresearch.judge import Draw
from autoresearch.ledger import Event, Experiment, Ledger, Session, Trial
from autoresearch.ledger.metrics import settle_metric
from autoresearch.ledger.overhead import base_overhead
from autoresearch.ledger.rows import BRANCHES, FILLER, SAME_FUNCTION
from autoresearch.ledger.scores import effects
from autoresearch.ledger.trials import FRESH, JUDGING, fails_now, judging
from autoresearch.measure.result import Overhead
from autoresearch.metric import EXACT, RATE, Metric
from autoresearch.session import kinds
from autoresearch.session.constraints import Constraints
from autoresearch.session.context import SessionContext
from autoresearch.session.describe import Columns
from autoresearch.session.drift import describe_drift, machine_changed
from autoresearch.session.equal_score import allowance_left, why_at_equal_score
from autoresearch.session.guard_odds import P_DROPPED, find_broken
from autoresearch.session.incumbents import read_incumbent, read_lineage
from autoresearch.session.machine_speed import describe_adjustment, may_be_spoiled

NEXT_PURPOSE = {"run_again": "rerun", "compare": "sentinel"}  # of the trial that the judge asks for
REOPENED = "reopened"  # kind of the event of a near miss that is a candidate again


def prior_noise(ledger: Ledger, session: Session) -> tuple[float, float] | None:
    """Return sigma and its degrees of freedom from comparable sessions, if any."""
    return earlier_noise(ledger, session.identity, session.settings, without=session.id)


@dataclass(frozen=True)
class Evidence:
    """Answer questions about the trials of one session, for the judge and for briefs."""

    context: SessionContext
    replicates: int  # trials of the base
    prior: tuple[float, float] | None = None  # sigma and degrees of freedom from earlier sessions
    constraints: Constraints = field(default_factory=Constraints)

    @property
    def metric(self) -> Metric:
        return settle_metric(self.context.ledger, self.context.row)

    @property
    def is_exact(self) -> bool:
        """Return whether trials have no noise, so that none is repeated; the greedy rule repeats none anyway."""
        return self.metric.kind == EXACT and self.context.row.judge != "greedy"

    def incumbent(self) -> Experiment:
        return self.context.ledger.newest_keep(self.context.id) or self.context.experiment(0)

    def rival(self, experiment: Experiment) -> Experiment:
        """Return the version that an experiment has to beat: the incumbent for which it was made.

        While it waited, or was measured on one of several slots, another may have become the incumbent, or that one
        may have been found suspect.
        """
        incumbent, row = self.incumbent(), experiment
        while row.n != incumbent.n and row.parent is not None:
            branches, row = row.mode in BRANCHES, self.context.experiment(row.parent)
            if row.found_later:
                return row
            if branches:  # it does not start from an incumbent
                return incumbent
            if row.verdict == "keep":
                return row
        return incumbent

    def is_superseded(self, experiment: Experiment) -> bool:
        """Return whether a newer incumbent has replaced an experiment's rival.

        Keeps are ordered by their numbers, so a branch with a lower one than the incumbent is replaced, too.
        """
        incumbent = self.incumbent().n
        is_older_branch = experiment.mode in BRANCHES and experiment.n < incumbent
        return experiment.n > 0 and (self.rival(experiment).n != incumbent or is_older_branch)

    def trial_index(self, experiment: Experiment) -> int:
        """Return the index of an experiment's next trial; lost trials do not count, nor fillers that still run."""
        trials = self.context.ledger.trials(self.context.id, experiment.id)
        running = (t.outcome is None and t.purpose in JUDGING and t.purpose != FILLER for t in trials)
        return len(judging(trials)) + sum(running)

    def trials(self, experiment: Experiment) -> list[Trial]:
        """Return the trials that may judge an experiment, in order."""
        return judging(self.context.ledger.trials(self.context.id, experiment.id))

    def scores(self, experiment: Experiment) -> list[float]:
        """Return the scores that stand for a version, on the scale; the recorded one where its trials are gone."""
        fresh, judging = (session_draws(self.context.ledger, self.context.row, kinds) for kinds in (FRESH, JUDGING))
        scores = [draw.score for draw in fresh.get(experiment.id) or judging.get(experiment.id, [])]
        return scores or [self.metric.to_scale(score) for score in (experiment.val_bpb,) if score is not None]

    def raw_score(self, experiment: Experiment) -> float:
        """Return the mean score of a version as it is measured."""
        return self.metric.from_scale(fmean(self.scores(experiment)))

    def draws_of(self, experiment: Experiment) -> list[Draw]:
        """Return the draws of all trials that may judge an experiment, at equal speed of the machine."""
        return self._draws(JUDGING).get(experiment.id, [])

    @property
    def speed_effect(self) -> judge.SpeedEffect:
        return speed_effect(self.context.ledger, self.context.row)

    def noise(self) -> judge.Noise:
        """Return the noise of a trial of the incumbent."""
        return self._noises_of(self.incumbent())[0]

    def sigma(self, candidate: Experiment | None = None) -> float:
        """Return the standard deviation of one trial as it is recorded: 0 for a number without noise."""
        if self.metric.kind == EXACT:
            return 0.0
        return (self._noises_of(self.rival(candidate), candidate)[0] if candidate else self.noise()).sigma

    def _noises_of(self, rival: Experiment, candidate: Experiment | None = None) -> tuple[judge.Noise, judge.Noise]:
        """Return the noise of a kept version and of its candidate, and that of the version before it."""
        fresh = self._draws(FRESH)
        shared = kinds.find_noise(self.context, self.metric, fresh, self.prior)
        if self.metric.kind in (EXACT, RATE):
            return shared, shared
        lineage = read_lineage(self.context, rival, fresh, candidate.id if candidate else None)
        return judge.newest_noise(shared, lineage), judge.newest_noise(shared, lineage[:-1])

    def base_overhead(self, n: int) -> Overhead | None:
        """Return what limits the time of the trials of experiment `n`; None for the human's base."""
        spent = base_overhead(self.context.ledger, self.context.row, n)
        return Overhead(**spent) if spent else None

    def next_purpose(self, experiment: Experiment) -> str | None:
        """Return the purpose of the trial that an experiment needs next; None if it needs none."""
        trials = self.trials(experiment)
        if trials and (trials[-1].outcome != "ok" or self.violation(trials)):
            return None
        if experiment.n == 0:
            return "base" if len(trials) < kinds.base_trials(self.context.row.metric, self.replicates) else None
        if self.is_superseded(experiment):
            return None
        if not trials:
            return "sentinel" if self._is_sentinel_due(experiment) else "screen"
        if self.broken_guard(experiment, P_DROPPED):
            return None
        decision = self.decide(experiment)
        purpose = self._purpose_by_kind(experiment, decision)
        if purpose == "sentinel" and self._fails_now(self.rival(experiment)):
            return "rerun" if decision.action in NEXT_PURPOSE else None
        return purpose

    def _purpose_by_kind(self, experiment: Experiment, decision: judge.Decision) -> str | None:
        """Return the purpose of the trial for which a decision asks."""
        reruns = sum(trial.purpose == "rerun" for trial in self.trials(experiment))
        beside = len(self._sentinels_beside(experiment))
        purpose = NEXT_PURPOSE.get(decision.action)
        return kinds.in_turns(self.metric, purpose, reruns, beside, decision.action == "keep")

    def subject(self, experiment: Experiment, purpose: str) -> Experiment:
        """Return the version that a trial measures: the experiment, or its rival."""
        return self.context.experiment(self.rival(experiment).n if purpose == "sentinel" else experiment.n)

    def seed(self, experiment: Experiment, purpose: str) -> int:
        """Return the seed of the next trial: the same when a lost one is run again.

        A sentinel beside a candidate that was measured gets the seed of one of its re-runs: they make a pair. So does
        a screening with one of the incumbent's first trials: their curves can be compared.
        """
        row, subject = self.context.row, self.subject(experiment, purpose)
        if purpose == "screen" and (fresh := self._fresh_good(self.rival(experiment))[: self.replicates]):
            return fresh[experiment.n % len(fresh)].seed
        if subject.n != experiment.n and self.trials(experiment):
            return row.seed_of(experiment.n, 1 + len(self._sentinels_beside(experiment)))
        return row.seed_of(subject.n, self.trial_index(subject))

    def hopeless_above(self, experiment: Experiment) -> float:
        """Return the claim above which a screening has lost, audited or not."""
        rival = self.rival(experiment)
        return judge.hopeless_above(self._fresh_draws(rival), self._noises_of(rival)[0])

    def may_keep(self, experiment: Experiment, val_bpb: float) -> bool:
        """Return whether a trial with this score would suffice for a keep."""
        draws = self._draws(JUDGING)
        now = 1 + max(draw.at for group in draws.values() for draw in group)
        score = self.metric.to_scale(val_bpb)
        after = [*draws[experiment.id], Draw(score, now, self.seed(experiment, "rerun"))]
        return self.rule(experiment)(after).action in ("compare", "keep")

    def drift_warning(self, experiment: Experiment) -> str | None:
        """Return a warning if the newest fresh trial of a version is far from the earlier ones."""
        draws = self._draws(FRESH)
        if len(fresh := draws.get(experiment.id, [])) < 3:
            return None
        noise = kinds.find_noise(self.context, self.metric, draws | {experiment.id: fresh[:-1]}, self.prior)
        return describe_drift(experiment.n, fresh, noise)

    def _is_sentinel_due(self, experiment: Experiment) -> bool:
        rival = self.rival(experiment)
        trials = self.trials(rival)
        if all(trial.outcome != "ok" for trial in trials):  # its records are gone
            if self._fails_now(rival):
                words = f"experiment {rival.n}, the incumbent, cannot be measured here: {trials[-1].reason}"
                raise UserError(f"{words}; see `autoresearch doctor`")
            return True
        if self.context.row.judge == "greedy" and experiment.mode not in judge.SIMPLER_MODES:
            return False
        if self._fails_now(rival) or self.is_exact:
            return False
        if self.context.row.judge == "greedy" and len(self._fresh_good(rival)) < self.replicates:
            return True  # it was kept for a lucky score, which a simplification would not reach
        since = judging(self.context.ledger.trials_after(self.context.id, trials[-1].id))
        return machine_changed(trials, since)

    def _fails_now(self, experiment: Experiment) -> bool:
        """Return whether the last trials of an incumbent failed: then its earlier scores must do."""
        return fails_now(self._fresh_trials(experiment))

    def _fresh_trials(self, experiment: Experiment) -> list[Trial]:
        return [trial for trial in self.trials(experiment) if trial.purpose in FRESH]

    def _fresh_good(self, experiment: Experiment) -> list[Trial]:
        return [trial for trial in self._fresh_trials(experiment) if trial.outcome == "ok"]

    def verdict_elsewhere(self, experiment: Experiment) -> Columns | None:
        """Return the columns of a verdict that trials on another kind of card decide; None if they do not."""
        return None

    def violation(self, trials: Sequence[Trial]) -> str | None:
        return next((words for trial in trials if (words := self.constraints.violation(trial.result))), None)

    def broken_guard(self, experiment: Experiment, most: float) -> str | None:
        """Return the limit that a version breaks with a probability above `most`, in words; None if there is none."""
        if not self.constraints.guards:
            return None
        base, rival = self.context.experiment(0), self.rival(experiment)
        kept = self.trials(rival) if rival.n else []
        return find_broken(self.constraints.guards, self.trials(experiment), self.trials(base), kept, most)

    def decide(self, experiment: Experiment) -> judge.Decision:
        """Return what the judge says of an experiment with at least one good trial."""
        decision = self.rule(experiment)(self.draws_of(experiment))
        doubtful = decision.action == "keep" and self._needs_confirmation(experiment)
        return replace(decision, action="run_again") if doubtful or self.repeats_screening(experiment) else decision

    def repeats_screening(self, experiment: Experiment) -> bool:
        """Return whether a discard rests on one screening alone, which much slower cores may have spoiled."""
        if self.context.row.judge == "greedy" or self.is_exact:
            return False
        draws, rival = self.draws_of(experiment), self._fresh_draws(self.rival(experiment))
        discards = lambda draws: self.rule(experiment)(draws).action == "discard"  # noqa: E731
        return may_be_spoiled(draws, rival, self.speed_effect, discards)

    def _needs_confirmation(self, experiment: Experiment) -> bool:
        """Return whether a near miss has become a gain without a re-run, with its larger audit, since then."""
        if not experiment.near_miss:  # only what was discarded once is one
            return False
        events = self.context.ledger.events(self.context.id, kind=REOPENED)
        reopened = [event for event in events if event.n == experiment.n]
        reruns = [trial for trial in self.trials(experiment) if trial.purpose == "rerun"]
        return not reopened or not reruns or not _began_after(reruns[-1], reopened[-1])

    def rule(self, experiment: Experiment) -> Callable[[Sequence[Draw]], judge.Decision]:
        """Return what decides on draws of an experiment."""
        if self.is_exact:
            return self._exact_rule(experiment)
        context, metric, opponent = self.context, self.metric, self.rival(experiment)
        noise, before = self._noises_of(opponent, experiment)
        beliefs = judge.learn(effects(context.ledger, context.id))
        rival = self._known_draws(opponent, noise, before.sigma / noise.sigma, beliefs)
        task_error = kinds.find_task_error(context, metric, experiment.id, opponent.id)
        allowance, same = self.allowance(experiment)
        name, effect = judge.rule_for(context.row.judge, metric), self.speed_effect

        def decide(draws: Sequence[Draw]) -> judge.Decision:
            decision = judge.decide(name, draws, rival, noise, beliefs, allowance, same, metric, task_error)
            words = describe_adjustment(draws[1:] or draws, rival, effect, noise.sigma)
            return replace(decision, reason=decision.reason + words)

        return decide

    def allowance(self, experiment: Experiment) -> tuple[float | None, bool]:
        """Return the loss in sigma that is left to keeps without a gain, and whether this is the same function.

        None for a version that only a gain can keep.
        """
        kind = self._equal_score(experiment)
        return (allowance_left(self.keeps()) if kind else None), kind == SAME_FUNCTION

    def _equal_score(self, experiment: Experiment) -> str | None:
        """Return why an experiment may be kept without a gain; None if it may not."""
        rival = self.context.experiment(self.rival(experiment).n)
        return why_at_equal_score(
            self.context.row.judge, experiment, rival, self.trials(experiment), self.trials(rival)
        )

    def _exact_rule(self, experiment: Experiment) -> Callable[[Sequence[Draw]], judge.Decision]:
        rival = self.rival(experiment)
        trials = [*self.trials(experiment), *self.trials(rival)]
        return kinds.exact_rule(self.metric, trials, self._fresh_draws(rival), self._equal_score(experiment))

    def keeps(self) -> list[Experiment]:
        return self.context.ledger.experiments(self.context.id, verdict="keep")

    def _known_draws(self, rival: Experiment, noise: judge.Noise, spread: float, beliefs: judge.Beliefs) -> list[Draw]:
        """Return the fresh draws of a rival, and one that sums up what other trials say of its level.

        `spread` is the standard deviation of a trial of the version before it, in that of its own.
        """
        draws = self._draws(JUDGING)
        if self.context.row.judge == "greedy" or not draws.get(rival.id) or self.metric.kind == RATE:
            return self._fresh_draws(rival)  # greedy compares with single scores, and a rate task by task
        return read_incumbent(self.context, rival, self._draws(FRESH), draws, spread).with_summary(noise, beliefs)

    def _fresh_draws(self, experiment: Experiment) -> list[Draw]:
        """Return the draws of fresh trials; of all judging trials if there is none."""
        return self._draws(FRESH).get(experiment.id) or self._draws(JUDGING).get(experiment.id, [])

    def _draws(self, purposes: Sequence[str]) -> Draws:
        return equal_speed_draws(self.context.ledger, self.context.row, purposes)

    def _sentinels_beside(self, experiment: Experiment) -> list[Trial]:
        """Return the sentinels of an experiment's rival since it was screened."""
        screened = self.trials(experiment)[0].id
        return [t for t in self.trials(self.rival(experiment)) if t.purpose == "sentinel" and t.id > screened]


def _began_after(trial: Trial, reopened: Event) -> bool:
    """Return whether a trial began after a near miss was reopened; events of older programs have only their time."""
    newest = reopened.data.get("newest_trial")
    return trial.started >= reopened.at if newest is None else trial.id > newest
