"""Verdicts: arithmetic over measurements, without any input or output.

The default rule gives a candidate one screening trial. If that beats the incumbent's mean, one fresh re-run with a
new seed decides, because the draw that selected a candidate is a lucky one by construction: judged on it, a third
of all keeps would be noise. The comparison is with the incumbent's *mean*, never with its best draw, and the fresh
draw has to be better by `MARGIN` standard errors. `greedy` is the original's literal rule: any lower number is kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

RULES = ("default", "greedy")
MARGIN = 1.0  # standard errors by which the fresh re-run has to beat the incumbent's mean
NEAR_MISS = 1.0  # a discard within this many standard errors of the incumbent is worth another look
SIGMA_FLOOR = 1e-6  # bits per byte; scores are rounded to this


@dataclass(frozen=True)
class Decision:
    """What to do with a candidate: `run_again`, `keep` or `discard`, why, and the evidence.

    `delta` is its mean minus the incumbent's, over the draws that may judge it (bits per byte, negative is
    better); `p_gain` the probability that it is truly better, taking the draws as all there is to know.
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


def decide(rule: str, candidate: Sequence[float], incumbent: Sequence[float], sigma: float) -> Decision:
    """Judge a candidate's scores, in the order they were drawn, against the incumbent's. Lower is better."""
    if rule == "greedy":
        return _greedy(candidate[0], min(incumbent), sigma)
    screening, fresh = candidate[0], candidate[1:]
    first = _compare([screening], incumbent, sigma)
    if screening >= fmean(incumbent):
        near = first[0] < NEAR_MISS * _standard_error(1, len(incumbent), sigma)
        return Decision("discard", _words("not better", first, sigma), *first, near_miss=near)
    if not fresh:
        return Decision("run_again", _words("looks better", first, sigma), *first)
    again = _compare(fresh, incumbent, sigma)
    if again[0] < -MARGIN * _standard_error(len(fresh), len(incumbent), sigma):
        return Decision("keep", _words("a fresh re-run confirms it", again, sigma), *again)
    return Decision("discard", _words("a fresh re-run does not confirm it", again, sigma), *again, near_miss=True)


def hopeless_above(incumbent: Sequence[float], sigma: float) -> float:
    """A screening claim above this has lost by more than the noise, audited or not."""
    return fmean(incumbent) + 2 * sigma


def smallest_gain(incumbent_draws: int, sigma: float) -> float:
    """The true gain, bits per byte, that the fresh re-run confirms half of the time."""
    return MARGIN * _standard_error(1, incumbent_draws, sigma)


def _greedy(score: float, best: float, sigma: float) -> Decision:
    delta, p_gain = _compare([score], [best], sigma)
    if delta < 0:
        return Decision("keep", "a lower number (greedy rule)", delta, p_gain)
    return Decision("discard", "not a lower number (greedy rule)", delta, p_gain)


def _compare(draws: Sequence[float], incumbent: Sequence[float], sigma: float) -> tuple[float, float]:
    delta = fmean(draws) - fmean(incumbent)
    return delta, NormalDist().cdf(-delta / _standard_error(len(draws), len(incumbent), sigma))


def _standard_error(draws: int, incumbent_draws: int, sigma: float) -> float:
    return max(sigma, SIGMA_FLOOR) * math.sqrt(1 / draws + 1 / incumbent_draws)


def _words(what: str, compared: tuple[float, float], sigma: float) -> str:
    return f"{what}: {compared[0]:+.4f} ({compared[0] / max(sigma, SIGMA_FLOOR):+.1f} sigma)"
