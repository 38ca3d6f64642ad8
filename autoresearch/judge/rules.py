"""Decision rules: from measurements to the next step for a candidate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

from autoresearch.judge.beliefs import Beliefs, p_gain, p_loss
from autoresearch.judge.noise import Draw, Noise, WeightedModel, difference
from autoresearch.judge.value import Estimate, gain_of_draws, value_of_certainty, value_of_keep
from autoresearch.metric import EXACT, RATE, VAL_BPB, Metric


@dataclass(frozen=True)
class Rule:
    """Costs of decisions in sigma, the probability that a keep needs, and a limit on fresh re-runs."""

    wrong_keep: float  # cost of a keep without a gain
    trial: float  # cost of a trial
    certain: float  # a keep needs this probability of a gain
    max_reruns: int


DEFAULT = Rule(wrong_keep=4.0, trial=0.06, certain=0.6, max_reruns=6)
RULES = {
    "default": DEFAULT,
    "strict": Rule(wrong_keep=20.0, trial=0.06, certain=0.95, max_reruns=8),
    "greedy": None,  # the original's: any lower number is kept
    RATE: Rule(wrong_keep=0.7, trial=0.0005, certain=0.42, max_reruns=16),  # benchmarks/metric_kinds.py
}
LOOKAHEAD = 4  # trials before the decision that are considered
FUTILE = 0.15  # a gain that is less probable is called not confirmed
SIMPLER_RERUNS = 2  # fresh re-runs before less code is kept without a gain
SIMPLER_MODES = ("revert", "prune")  # a kept change is taken out
MAX_LOSS_SIGMA = 0.5  # of one simplification ...
P_SMALL_LOSS = 0.8  # ... and the probability of this that a keep needs
ALLOWANCE_SIGMA = 1.0  # loss of all simplifications of a session together
SAME_RERUNS = 1  # fresh re-runs that confirm a version that computes the same function ...
P_SAME = 0.5  # ... and the probability of a small loss that it needs: only its speed may differ


@dataclass(frozen=True)
class Decision:
    """Next step for a candidate, the reason, and the evidence.

    `delta` leaves out the draw that selected the candidate if there is another.
    """

    action: str  # run_again, compare (measure the incumbent again, beside it), keep or discard
    reason: str
    delta: float  # the candidate's mean minus the incumbent's (negative is better)
    p_gain: float  # probability that it is truly better, given all draws


def decide(
    rule: str,
    candidate: Sequence[Draw],
    incumbent: Sequence[Draw],
    noise: Noise,
    beliefs: Beliefs | None = None,
    simpler: float | None = None,
    same: bool = False,
    metric: Metric = VAL_BPB,
    task_error: float = 0.0,
) -> Decision:
    """Judge a candidate's draws, in order, against the incumbent's. Lower is better, as on the scale of `metric`.

    `task_error` is a standard error of the difference that no draw reduces. Leave out the draw that selected the
    incumbent: it is biased. `simpler` is for a candidate that may be kept without a gain: the loss in sigma that is
    left of `ALLOWANCE_SIGMA`. It takes code away or, with `same`, it computes the same function.
    """
    evidence = _Comparison(candidate, incumbent, noise, beliefs or Beliefs(), metric, task_error)
    chosen = RULES[rule]
    if chosen is None and simpler is None:
        lowest = min(draw.score for draw in incumbent)
        if candidate[0].score < lowest:
            return evidence.decision("keep", f"a {metric.comparative} number (greedy rule)")
        than = f"not {metric.comparative} than the incumbent's {metric.superlative}"
        words = f"{than}, {metric.score(metric.from_scale(lowest))} (greedy rule)"
        return evidence.decision("discard", words)
    chosen = chosen or DEFAULT
    if simpler is not None:
        judge_equal = _judge_same if same else _judge_simplification
        if (decision := judge_equal(evidence, chosen, simpler)) is not None:
            return decision
    return _judge_gain(evidence, chosen)


def rule_for(judge: str, metric: Metric) -> str:
    """Return the name of the rule by which a session decides; a rate has one of its own instead of the default."""
    return RATE if judge == "default" and metric.kind == RATE else judge


def more_informative(candidate: Sequence[Draw], incumbent: Sequence[Draw], noise: Noise) -> str:
    """Return `run_again` or `compare`: whose next draw reduces the error of the difference more."""
    return _Comparison(candidate, incumbent, noise, Beliefs()).more_informative


def p_better(ours: Sequence[Draw], theirs: Sequence[Draw], noise: Noise, beliefs: Beliefs) -> float:
    """Return the probability that one version is better than another, given all draws of both."""
    return _Comparison(ours, theirs, noise, beliefs).p_gain


def hopeless_above(incumbent: Sequence[Draw], noise: Noise) -> float:
    """Return the score above which a screening is lost by more than the noise, audited or not."""
    return fmean(draw.score for draw in incumbent) + 2 * noise.sigma


@dataclass(frozen=True)
class _Comparison:
    """Draws of a candidate and of the incumbent, and what follows from them."""

    candidate: Sequence[Draw]
    incumbent: Sequence[Draw]
    noise: Noise
    beliefs: Beliefs
    metric: Metric = VAL_BPB
    task_error: float = 0.0  # standard error that no draw reduces

    @property
    def fresh(self) -> Sequence[Draw]:
        return self.candidate[1:]  # the first draw selected the candidate

    @cached_property
    def delta(self) -> float:
        """Return candidate minus incumbent, on fresh draws if there are any."""
        draws = self.fresh or self.candidate
        return sum(each.weight * difference(draws, self.incumbent, each)[0] for each in self.noise.models)

    @cached_property
    def p_gain(self) -> float:
        return sum(each.weight * p_gain(self.beliefs, *self._in_sigmas(each)) for each in self.noise.models)

    def p_loss(self, bound: float) -> float:
        """Return the probability that the candidate loses more than `bound` sigma."""
        return sum(each.weight * p_loss(self.beliefs, bound, *self._in_sigmas(each)) for each in self.noise.models)

    def _in_sigmas(self, fitted: WeightedModel) -> tuple[float, float, float]:
        delta, error = difference(self.candidate, self.incumbent, fitted)
        return delta / self.noise.sigma, math.hypot(error, self.task_error) / self.noise.sigma, self.noise.dof

    def variance(self, candidate: int, incumbent: int) -> float:
        """Return the variance of the difference after so many more draws of each."""
        now = 1 + max(draw.at for draw in [*self.candidate, *self.incumbent])
        ours = [*self.candidate, *(Draw(0.0, now + k) for k in range(candidate))]
        theirs = [*self.incumbent, *(Draw(0.0, now + k) for k in range(incumbent))]
        drawn = sum(each.weight * difference(ours, theirs, each)[1] ** 2 for each in self.noise.models)
        return drawn + self.task_error**2

    def dof_after(self, candidate: int, incumbent: int) -> float:
        """Return the degrees of freedom after so many more draws of each; the first fresh one adds none."""
        fresh = len(self.fresh)
        return self.noise.dof + incumbent + max(fresh + candidate - 1, 0) - max(fresh - 1, 0)

    @property
    def more_informative(self) -> str:
        return "compare" if self.variance(0, 1) < self.variance(1, 0) else "run_again"

    @cached_property
    def estimate(self) -> Estimate:
        """Return the difference over all draws, averaged over the models of the machine."""
        found = [(each.weight, *self._in_sigmas(each)) for each in self.noise.models]
        delta = sum(weight * delta for weight, delta, _, _ in found)
        return Estimate(delta, self.variance(0, 0) ** 0.5 / self.noise.sigma, self.noise.dof)

    def may_keep(self, rule: Rule) -> bool:
        """Return whether fresh re-runs confirm a gain."""
        return bool(self.fresh) and self.delta < 0 and self.p_gain >= rule.certain

    def value_of_keep(self, rule: Rule) -> float:
        return value_of_keep(self.beliefs, self.estimate, rule.wrong_keep)

    def is_worth_a_draw(self, rule: Rule) -> bool:
        """Return whether up to `LOOKAHEAD` more draws are expected to improve the decision by more than they cost."""
        may_keep = self.may_keep(rule)
        now = max(self.value_of_keep(rule), 0.0) if may_keep else 0.0
        if value_of_certainty(self.beliefs, self.estimate) - rule.trial <= now:
            return False
        ours = theirs = 0
        for draws in range(1, LOOKAHEAD + 1):
            both = self.variance(ours + 1, theirs), self.variance(ours, theirs + 1)
            ours, theirs = (ours, theirs + 1) if both[1] < both[0] else (ours + 1, theirs)
            later = min(both) ** 0.5 / self.noise.sigma, self.dof_after(ours, theirs)
            gain = gain_of_draws(self.beliefs, self.estimate, *later, rule.wrong_keep, may_keep=may_keep)
            if gain > draws * rule.trial:
                return True
        return False

    def request_draw(self) -> Decision:
        """Ask for one more draw of the version for which it reduces the variance more."""
        return self.decision(self.more_informative, "looks better")

    def decision(self, action: str, words: str) -> Decision:
        reason = f"{words}: {self.metric.change(self.delta)}"
        if self.metric.kind != EXACT:
            reason += f" ({self.metric.sigmas(self.delta / self.noise.sigma)} sigma)"
        return Decision(action, reason, self.delta, self.p_gain)


def _judge_gain(evidence: _Comparison, rule: Rule) -> Decision:
    """Draw again as long as that is worth its cost; then keep if that has a value above 0."""
    reruns = len(evidence.fresh)
    if reruns < rule.max_reruns and evidence.is_worth_a_draw(rule):
        return evidence.request_draw()
    if evidence.may_keep(rule) and evidence.value_of_keep(rule) > 0:
        return evidence.decision("keep", f"{reruns} fresh re-run{'s confirm' if reruns > 1 else ' confirms'} it")
    if not reruns:
        return evidence.decision("discard", "not better" if evidence.delta >= 0 else "hardly better")
    words = "fresh re-runs do not confirm it" if evidence.p_gain < FUTILE else "too close to call"
    return evidence.decision("discard", words)


def _judge_same(evidence: _Comparison, rule: Rule, allowance: float) -> Decision | None:
    """Judge a version that computes the same function; None: only a gain can keep it."""
    reruns = len(evidence.fresh)
    max_p_loss = 1 - P_SAME if reruns >= SAME_RERUNS else P_SMALL_LOSS
    if evidence.p_gain >= rule.certain or evidence.p_loss(min(MAX_LOSS_SIGMA, allowance)) > max_p_loss:
        return None
    if reruns < SAME_RERUNS:
        return evidence.decision("run_again", "the same function, and not clearly worse")
    if evidence.delta > allowance * evidence.noise.sigma:
        return None
    return evidence.decision(
        "keep", f"the same function at the same score, on {reruns} fresh re-run{'s'[: reruns > 1]}"
    )


def _judge_simplification(evidence: _Comparison, rule: Rule, allowance: float) -> Decision | None:
    """Judge less code for the same score; None: only a gain can keep it."""
    bound, reruns = min(MAX_LOSS_SIGMA, allowance), len(evidence.fresh)
    max_p_loss = 1 - P_SMALL_LOSS if reruns >= SIMPLER_RERUNS else P_SMALL_LOSS
    if evidence.p_gain >= rule.certain or evidence.p_loss(bound) > max_p_loss:
        return None
    if reruns < SIMPLER_RERUNS:
        return evidence.decision("run_again", "less code, and not clearly worse")
    if evidence.delta > bound * evidence.noise.sigma:
        return None
    return evidence.decision("keep", f"less code for the same score, on {reruns} fresh re-runs")
