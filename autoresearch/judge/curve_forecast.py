"""Forecast of a trial's score from a part of its curve, learned from complete trials.

The difference of the scores is a slope times the gap of the curves, plus an error with heavy tails (Student's t). Slope
and size of the error have a joint posterior on a grid. The error has a part that grows with the gap: curves may cross
later, and a version may log a loss that is not the one that it is scored by. Where complete trials show that, the
forecast becomes wide. All differences are shares of the incumbent's loss or score.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autoresearch.judge.curve_gap import Gap
from autoresearch.judge.noise import Array

LOOKS = tuple(round(0.2 + 0.05 * k, 2) for k in range(12))  # parts of the budget: before, curves say too little ...
DOF = 4.0  # of the errors
OTHER_WEIGHT = 0.5  # of an example of another category
SLOPES = np.geomspace(0.05, 2.0, 12)
NOISES = np.geomspace(0.25, 16.0, 9)  # in sigma
SPREADS = np.geomspace(0.05, 1.6, 6)  # of the error that grows with the gap / the gap
PRIOR_SLOPE, PRIOR_NOISE, PRIOR_SPREAD = (0.3, 0.6), 0.6, 0.2  # medians; the slope rises with the progress ...
PRIOR_LOG_SD = 0.6  # ... and standard deviation of their logarithms
MIN_SIGMA = 1e-4  # of the score, where all trials agree better
SCHEDULE = "schedule"  # category of changes whose curve may cross that of the incumbent
MIN_EXAMPLES, MIN_SCHEDULES = 4, 8  # with a gap at a look, for a forecast; of schedules, for that of a schedule
MAX_ODDS = 0.02  # that the score would earn a re-run, for a stop: without one there is no keep
PRIOR_CHECKS = 0.5  # wrong stops that the prior of the threshold counts for


@dataclass(frozen=True)
class Example:
    """A complete trial beside one of the incumbent: gap of the curves at each look, and difference of the scores."""

    gaps: tuple[Gap | None, ...]
    delta: float
    categories: tuple[str, ...] = ()


def max_odds(checks: Sequence[tuple[float, bool]]) -> float:
    """Return the odds of a re-run below which a trial is stopped.

    `checks` are trials that ran on although they would have been stopped: their odds, and whether the stop would have
    been wrong. More wrong ones than the odds say lower the threshold.
    """
    expected, wrong = sum(odds for odds, _ in checks), sum(is_wrong for _, is_wrong in checks)
    return MAX_ODDS * min(1.0, (PRIOR_CHECKS + expected) / (PRIOR_CHECKS + wrong))


@dataclass(frozen=True)
class CurveForecast:
    """Forecast scores of a candidate with these categories; `sigma` is that of one trial / the score."""

    examples: Sequence[Example]
    sigma: float
    categories: tuple[str, ...] = ()

    def odds_below(self, look: int, gap: Gap, bound: float) -> float:
        """Return the probability that the difference will be below `bound`."""
        slopes, noises, spreads = self._grid
        scale = _scale(slopes, noises, spreads, gap.mean, gap.error)
        return float(self._posterior(look) @ _below((bound - slopes * gap.mean) / scale))

    def expected(self, look: int, gap: Gap) -> float:
        """Return the expected difference."""
        return float(self._posterior(look) @ self._grid[0]) * gap.mean

    def is_known(self, look: int) -> bool:
        """Return whether there are enough examples for a forecast at a look."""
        needed = MIN_SCHEDULES if SCHEDULE in self.categories else MIN_EXAMPLES
        return sum(example.gaps[look] is not None and self._weight(example) > 0 for example in self.examples) >= needed

    def _weight(self, example: Example) -> float:
        """Return how much an example counts: a change of a schedule is like no other, for it may pay late."""
        if SCHEDULE in self.categories:
            return float(SCHEDULE in example.categories)
        return 1.0 if set(example.categories) & set(self.categories) else OTHER_WEIGHT

    @cached_property
    def _grid(self) -> tuple[Array, Array, Array]:
        sigma = max(self.sigma, MIN_SIGMA)
        slopes, noises, spreads = (each.ravel() for each in np.meshgrid(SLOPES, NOISES * sigma, SPREADS))
        return slopes, noises, spreads

    def _posterior(self, look: int) -> Array:
        """Return the probability of each point of the grid."""
        slopes, noises, spreads = self._grid
        slope = PRIOR_SLOPE[0] + PRIOR_SLOPE[1] * LOOKS[look]
        noise = PRIOR_NOISE * max(self.sigma, MIN_SIGMA)
        logs = [(slopes, slope), (noises, noise), (spreads, PRIOR_SPREAD)]
        fit = sum(-0.5 * (np.log(values / median) / PRIOR_LOG_SD) ** 2 for values, median in logs)
        known = [(gap, each) for each in self.examples if (gap := each.gaps[look]) is not None]
        for gap, example in known:
            scale = _scale(slopes, noises, spreads, gap.mean, gap.error)
            away = (example.delta - slopes * gap.mean) / scale
            fit = fit - self._weight(example) * (np.log(scale) + (DOF + 1) / 2 * np.log1p(away**2 / DOF))
        weights = np.exp(fit - np.max(fit))
        return np.asarray(weights / weights.sum())


def _scale(slopes: Array, noises: Array, spreads: Array, gap: float, error: float) -> Array:
    return np.sqrt(noises**2 + (spreads * gap) ** 2 + (slopes * error) ** 2)


def _below(t: Array) -> Array:
    """Return the distribution function of Student's t with four degrees of freedom."""
    part = t / np.sqrt(1 + t**2 / DOF)
    return np.asarray(0.5 + 0.375 * part * (1 - part**2 / 12))
