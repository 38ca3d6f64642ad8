"""Screening on one kind of card for another: how well its gains predict those of the other, and when that pays.

Gains are differences from the incumbent in the same pool, in the sigma of that pool. True gains of the two pools are
taken as bivariate normal. Only the confirmed gain given the screened one is used, so that it does not matter that
candidates with a low screened score are confirmed more often (docs/fleet.md).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from autoresearch.judge.noise import Array

MAX_GAIN_SIGMA = 6.0  # larger differences are clipped: a broken version is broken on every card
CORRELATIONS: Array = np.linspace(0.0, 0.99, 34)  # grid of the true correlation, each equally probable at first
SCALES = (0.5, 0.7, 1.0, 1.4, 2.0)  # spread of true gains in the confirming pool / in the screening pool
MIN_SPREAD = 0.3  # of true gains, in sigma
USUAL_GAIN_SIGMA = 3.0  # a gain that screening must not lose
AUDITED_SHARE = 0.05  # of what screening drops: it is confirmed all the same
STOP_PROBABILITY = 0.9  # screening stops when its correlation is below the break-even with this probability


@dataclass(frozen=True)
class GainPair:
    """The gain of one candidate in both pools, each with the variance of its error; negative is better."""

    screened: float
    screened_variance: float
    confirmed: float
    confirmed_variance: float


@dataclass(frozen=True)
class Costs:
    """What a session spends: slots of each pool, the share of promotions, and confirming trials of each."""

    screen_slots: int
    confirm_slots: int
    promoted: float
    confirming_trials: float

    @property
    def speed_up(self) -> float:
        """Return candidates in the same time with screening elsewhere / with the confirming pool alone."""
        alone = self.confirm_slots / (1 + self.promoted * (self.confirming_trials - 1))
        confirmed = self.promoted + AUDITED_SHARE * (1 - self.promoted)
        return min(self.screen_slots, self.confirm_slots / (confirmed * self.confirming_trials)) / alone


def true_spread(screened: Sequence[float], variance: float) -> float:
    """Return the standard deviation of true gains, from screened ones with errors of this variance."""
    clipped = np.clip(screened, -MAX_GAIN_SIGMA, MAX_GAIN_SIGMA)
    return math.sqrt(max(float(np.var(clipped)) - variance, MIN_SPREAD**2))


def correlation_weights(pairs: Sequence[GainPair], spread: float) -> Array:
    """Return the probability of each of `CORRELATIONS`, given gains in both pools. The mean gain may be any."""
    screened, confirmed = (
        np.clip([getattr(pair, name) for pair in pairs], -MAX_GAIN_SIGMA, MAX_GAIN_SIGMA)
        for name in ("screened", "confirmed")
    )
    errors = np.array([(pair.screened_variance, pair.confirmed_variance) for pair in pairs]).reshape(-1, 2)
    reliable = spread**2 / (spread**2 + errors[:, 0])
    slopes = CORRELATIONS[:, None, None] * np.array(SCALES)[:, None]
    residuals = confirmed - slopes * reliable * screened
    left = (np.array(SCALES)[:, None] * spread) ** 2 * (1 - CORRELATIONS[:, None, None] ** 2 * reliable)
    weights = 1 / (left + errors[:, 1])
    total = weights.sum(axis=2)
    means = (weights * residuals).sum(axis=2) / np.maximum(total, 1e-12)
    squares = (weights * (residuals - means[..., None]) ** 2).sum(axis=2)
    logs = (np.log(weights).sum(axis=2) - np.log(np.maximum(total, 1e-12)) - squares) / 2
    found = np.exp(logs - logs.max()).sum(axis=1)
    return np.asarray(found / found.sum())


def recall(correlation: float, promoted: float, spread: float, variance: float) -> float:
    """Return the probability that a usual gain is promoted, where the best share `promoted` of all candidates is."""
    bound = math.sqrt(spread**2 + variance) * NormalDist().inv_cdf(min(max(promoted, 1e-6), 1 - 1e-6))
    left = math.sqrt(spread**2 * (1 - correlation**2) + variance)
    return NormalDist().cdf((bound + correlation * USUAL_GAIN_SIGMA) / left)


def break_even(costs: Costs, spread: float, variance: float) -> float:
    """Return the least correlation with which screening finds as many gains as the confirming pool alone.

    It is above 1 where screening elsewhere cannot pay.
    """
    found = (each for each in CORRELATIONS if recall(each, costs.promoted, spread, variance) * costs.speed_up >= 1)
    return float(next(found, math.inf))


def p_too_low(weights: Array, least: float) -> float:
    """Return the probability that the correlation is below `least`."""
    return float(weights[least > CORRELATIONS].sum())
