"""The probability that a number of a version breaks its limit, given the noise of that number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from autoresearch.judge.noise import p_below_zero


@dataclass(frozen=True)
class Spread:
    """Standard deviation of one value around its version's mean, and its degrees of freedom."""

    sigma: float
    dof: float

    @classmethod
    def of(cls, groups: Sequence[Sequence[float]]) -> "Spread":
        """Pool the values of versions that were measured more than once."""
        repeated = [group for group in groups if len(group) > 1]
        dof = sum(len(group) - 1 for group in repeated)
        squares = math.fsum((value - fmean(group)) ** 2 for group in repeated for value in group)
        return cls(math.sqrt(squares / dof) if dof else 0.0, dof)


def p_above(values: Sequence[float], bound: float, spread: Spread, bound_variance: float = 0.0) -> float:
    """Return the probability that the mean of a version is above a bound.

    `bound_variance` is that of the bound itself, in squares of the spread.
    """
    excess = fmean(values) - bound
    error = spread.sigma * math.sqrt(1 / len(values) + bound_variance)
    if error == 0 or excess == 0:
        return 0.5 if excess == 0 else float(excess > 0)
    return 1 - p_below_zero(excess, error, spread.dof)
