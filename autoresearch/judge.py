"""Verdicts: arithmetic over measurements, without any input or output.

The default rule gives a candidate one screening trial. If that beats the incumbent's mean by enough, fresh re-runs with new
seeds decide, and the screening draw is forgotten: a draw that selects is a lucky one by construction. If the first of
them looks better too, the incumbent is measured again in turns with the candidate, and only these draws decide: a
machine that has become faster since the incumbent was measured makes no gain. After each pair the rule asks how
probable a true gain is, taking into account how well the noise itself is known (Student's t). Nearly certain, on two
pairs or more: keep. Improbable: discard. Between: one more pair, up to `MAX_FRESH`. So trials are spent where they can
change the decision. `greedy` is the original's literal rule: any lower number is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

RULES = ("default", "greedy")
MIN_FRESH = 2  # pairs before a keep: one alone would make the next incumbent's mean a matter of luck
MAX_FRESH = 4  # pairs after which the verdict falls
CERTAIN = 0.95  # probability of a gain that is kept; under half a keep in a night without good ideas (benchmarks/judge.py)
PROMISING = 0.8  # probability of a gain after the screening that is worth re-runs: an idea that hardly looks better is let go
FUTILE = 0.6  # probability of a gain below which no more draws are spent
SIGMA_FLOOR = 1e-6  # bits per byte; scores are rounded to this


@dataclass(frozen=True)
class Decision:
    """What to do with a candidate: `run_again`, `compare`, `keep` or `discard`, why, and the evidence.

    `compare` means: measure the incumbent again, beside it. `delta` is its mean minus the incumbent's, over the draws that may judge it (bits per byte, negative is
    better); `p_gain` the probability that it is truly better, taking these draws as all there is to know.
    """

    action: str
    reason: str
    delta: float
    p_gain: float
    near_miss: bool = False


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one trial's score around its version's mean, and its degrees of freedom."""

    sigma: float
    dof: int


def noise(groups: Sequence[Sequence[float]]) -> Noise:
    """Pooled over groups of scores, each group from one version. Two draws or more are needed somewhere."""
    dof = sum(len(group) - 1 for group in groups if len(group) > 1)
    if dof == 0:
        return Noise(SIGMA_FLOOR, 0)
    squares = sum((score - fmean(group)) ** 2 for group in groups if len(group) > 1 for score in group)
    return Noise(max(math.sqrt(squares / dof), SIGMA_FLOOR), dof)


def decide(
    rule: str, candidate: Sequence[float], incumbent: Sequence[float], noise: Noise, beside: Sequence[float] = ()
) -> Decision:
    """Judge a candidate's scores, in the order they were drawn, against the incumbent's. Lower is better.

    `beside` are scores of the incumbent that were drawn in turns with the candidate's re-runs.
    """
    if rule == "greedy":
        return _greedy(candidate[0], min(incumbent), noise)
    if len(candidate) == 1:
        return _screened(_compare(candidate, incumbent, noise), noise)
    if beside:
        return _beside(candidate[1:], beside, noise)
    return _repeated(candidate[1:], incumbent, noise)


def _repeated(fresh: Sequence[float], incumbent: Sequence[float], noise: Noise) -> Decision:
    delta, p_gain = _compare(fresh, incumbent, noise)
    if p_gain < FUTILE:
        near_miss = delta < noise.sigma
        return _decision("discard", "a fresh re-run does not confirm it", delta, p_gain, noise, near_miss)
    return _decision("compare", "looks better", delta, p_gain, noise)


def _beside(fresh: Sequence[float], beside: Sequence[float], noise: Noise) -> Decision:
    delta, p_gain = _compare(fresh, beside, noise)
    if len(beside) < len(fresh):
        return _decision("compare", "looks better", delta, p_gain, noise)
    if p_gain >= CERTAIN and len(fresh) >= MIN_FRESH:
        words = f"{len(fresh)} fresh re-runs confirm it, in turns with {len(beside)} of the incumbent"
        return _decision("keep", words, delta, p_gain, noise)
    if p_gain < (FUTILE if len(fresh) >= MIN_FRESH else 0.5):
        near_miss = delta < noise.sigma
        return _decision("discard", "the incumbent beside it is as good", delta, p_gain, noise, near_miss)
    if len(fresh) < MAX_FRESH:
        return _decision("run_again", "looks better", delta, p_gain, noise)
    return _decision("discard", "too close to call", delta, p_gain, noise, near_miss=True)


def hopeless_above(incumbent: Sequence[float], noise: Noise) -> float:
    """A screening claim above this has lost by more than the noise, audited or not."""
    return fmean(incumbent) + 2 * noise.sigma


def smallest_gain(noise: Noise) -> float:
    """The true gain, bits per byte, that is kept half of the time once it comes to be measured beside the incumbent."""
    return NormalDist().inv_cdf(CERTAIN) * _standard_error(MAX_FRESH, MAX_FRESH, noise.sigma)


def p_below_zero(delta: float, standard_error: float, dof: int) -> float:
    """Probability that a difference is below zero, given its estimate: Student's t by Wallace's approximation (1959)."""
    t = -delta / standard_error
    if dof <= 0:
        return 0.5
    z = (8 * dof + 1) / (8 * dof + 3) * math.sqrt(dof * math.log1p(t * t / dof))
    return NormalDist().cdf(math.copysign(z, t))


def _screened(compared: tuple[float, float], noise: Noise) -> Decision:
    delta, p_gain = compared
    if delta < 0 and p_gain >= PROMISING:
        return _decision("run_again", "looks better", delta, p_gain, noise)
    words = "not better" if delta >= 0 else "hardly better"
    return _decision("discard", words, delta, p_gain, noise, near_miss=delta < noise.sigma)


def _greedy(score: float, best: float, noise: Noise) -> Decision:
    delta, p_gain = _compare([score], [best], noise)
    action, words = ("keep", "a lower number") if delta < 0 else ("discard", "not a lower number")
    return _decision(action, f"{words} (greedy rule)", delta, p_gain, noise)


def _decision(
    action: str, words: str, delta: float, p_gain: float, noise: Noise, near_miss: bool = False
) -> Decision:
    reason = f"{words}: {delta:+.4f} ({delta / noise.sigma:+.1f} sigma)"
    return Decision(action, reason, delta, p_gain, near_miss)


def _compare(draws: Sequence[float], incumbent: Sequence[float], noise: Noise) -> tuple[float, float]:
    delta = fmean(draws) - fmean(incumbent)
    return delta, p_below_zero(delta, _standard_error(len(draws), len(incumbent), noise.sigma), noise.dof)


def _standard_error(draws: int, incumbent_draws: int, sigma: float) -> float:
    return max(sigma, SIGMA_FLOOR) * math.sqrt(1 / draws + 1 / incumbent_draws)
