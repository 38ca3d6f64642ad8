"""Compare scores at equal speed of the machine (docs/judging.md).

On a core that other programs slow, a version makes fewer steps and scores worse. The change of a score for one unit of
ln(speed) is learned from the versions of a session that were measured more than once. Speed is what the referee's own
kernel showed beside a trial, never the pace of the version: one that is slow by itself is not forgiven.

The slope of least squares is shrunk towards 0: by the factor of James and Stein (1961), and by the probability that
speed matters at all, from the Bayes factor of Zellner's g-prior with unit information (Liang et al., Journal of the
American Statistical Association 103, 2008). A faster machine cannot make a score worse, so only negative slopes count.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist, fmean

from autoresearch.judge.noise import Draw

TINY = 1e-18  # squares of scores that are equal to all digits
FEWEST_DOF = 4  # repeats beyond the first of each version; fewer show no slope


@dataclass(frozen=True)
class SpeedEffect:
    """Change of a score in bits per byte for one unit of ln(speed), and its standard error, with what was shrunk away.

    Scores are compared at the speed `reference`; None if no slope is known.
    """

    slope: float = 0.0
    error: float = math.inf
    reference: float | None = None

    @property
    def is_known(self) -> bool:
        return self.reference is not None

    def cost(self, speed: float | None) -> float:
        """Return what a speed has added to a score, compared with the reference; 0 if one of them is unknown."""
        return self.slope * math.log(speed / self.reference) if speed and self.reference is not None else 0.0

    def adjust(self, draws: Sequence[Draw]) -> list[Draw]:
        """Return draws with their scores at the reference speed."""
        return [replace(draw, score=draw.score - self.cost(draw.speed)) for draw in draws]


UNKNOWN = SpeedEffect()


def learn_speed(versions: Sequence[Sequence[Draw]]) -> SpeedEffect:
    """Learn the effect of speed from the fresh draws of each version."""
    groups = [[(math.log(draw.speed), draw.score) for draw in group if draw.speed] for group in versions]
    groups = [group for group in groups if len(group) > 1]
    dof = sum(len(group) - 1 for group in groups)
    pairs = [pair for group in groups for pair in _centre(group)]
    speeds = sum(x * x for x, _ in pairs)
    if dof < FEWEST_DOF or speeds == 0.0:
        return UNKNOWN
    slope = sum(x * y for x, y in pairs) / speeds
    rest = sum((y - slope * x) ** 2 for x, y in pairs)
    error = math.sqrt(max(rest, TINY) / (dof - 1) / speeds)
    t = slope / error
    shrunk = _p_matters(t, dof) * max(0.0, 1 - 1 / t**2) * slope if t < 0 else 0.0
    reference = math.exp(fmean(x for group in groups for x, _ in group))
    return SpeedEffect(shrunk, math.hypot(error, slope - shrunk), reference)


def _centre(group: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    x, y = fmean(x for x, _ in group), fmean(y for _, y in group)
    return [(a - x, b - y) for a, b in group]


def _p_matters(t: float, dof: int) -> float:
    """Return the probability that speed matters, of even odds before, from the t value of a slope."""
    unexplained = (dof - 1) / (dof - 1 + t * t)  # 1 - R^2
    log_odds = (dof - 1) / 2 * math.log1p(dof) - dof / 2 * math.log1p(dof * unexplained)
    log_odds += math.log(max(2 * NormalDist().cdf(-t), 1e-12))  # all of the prior is on negative slopes
    return 1 / (1 + math.exp(-min(log_odds, 700.0))) if log_odds > -700 else 0.0
