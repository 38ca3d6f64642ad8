"""Expected value of a keep, and of more trials before the decision, in sigmas of one trial (docs/judging.md).

More trials are worth what they are expected to add to the value of the decision (Raiffa and Schlaifer, Applied
Statistical Decision Theory, 1961). So they are taken only where they can still change it.
"""

import math
from dataclasses import dataclass

import numpy as np

from autoresearch.judge.beliefs import EFFECTS, GAIN, GRID_STEP, MAX_EFFECT_SIGMA, Beliefs, posterior
from autoresearch.judge.noise import Array

MAX_VALUE_SIGMA = 8.0  # a gain or a loss counts for at most this
_STEPS = np.linspace(-6.0, 6.0, 49)  # possible moves of the estimate, in standard deviations of a move


@dataclass(frozen=True)
class Estimate:
    """A difference and its standard error in sigma, and the degrees of freedom behind sigma."""

    delta: float
    error: float
    dof: float


def value_of_keep(beliefs: Beliefs, now: Estimate, wrong_keep: float) -> float:
    """Return the expected gain of a keep, minus `wrong_keep` times the probability that it is no gain."""
    return float(_values_of_keep(beliefs, np.array([now.delta]), now.error, now.dof, wrong_keep)[0])


def value_of_certainty(beliefs: Beliefs, now: Estimate) -> float:
    """Return the expected value of the decision if the effect were known: a bound on what trials can add."""
    gains = np.clip(-EFFECTS, 0.0, MAX_VALUE_SIGMA)
    return float(posterior(beliefs, np.array([now.delta]), now.error, now.dof)[0] @ gains)


def gain_of_draws(
    beliefs: Beliefs, now: Estimate, error: float, dof: float, wrong_keep: float, *, may_keep: bool = True
) -> float:
    """Return what more trials are expected to add to the value of the decision.

    They reduce the standard error to `error`, and raise the degrees of freedom to `dof`. Given an effect, the later
    estimate is normal around a point between the present estimate and the effect. Without them the version is kept if
    it `may_keep`, and if that has a value above 0. Both decisions are valued with the later knowledge, since a better
    known noise alone improves none.
    """
    delta = min(max(now.delta, -MAX_EFFECT_SIGMA), MAX_EFFECT_SIGMA)  # of the effects that the prior knows
    old = min((error / now.error) ** 2, 1.0)  # weight of the present estimate in the later one
    spread = error * math.sqrt(1 - old)
    later = delta + now.error * math.sqrt(1 - old) * _STEPS
    means = old * delta + (1 - old) * EFFECTS
    spreads = np.hypot(spread, (1 - old) * GRID_STEP * EFFECTS)
    effects = posterior(beliefs, np.array([delta]), now.error, now.dof)[0]
    weights = np.exp(-(((later[:, None] - means) / spreads) ** 2) / 2) / spreads @ effects
    values = _values_of_keep(beliefs, later, error, dof, wrong_keep)
    expected, best = weights @ values, weights @ np.maximum(values, 0.0)
    return float((best - (max(expected, 0.0) if may_keep else 0.0)) / weights.sum())


def _values_of_keep(beliefs: Beliefs, deltas: Array, error: float, dof: float, wrong_keep: float) -> Array:
    gains = np.clip(-EFFECTS, -MAX_VALUE_SIGMA, MAX_VALUE_SIGMA) - wrong_keep * ~GAIN
    return np.asarray(posterior(beliefs, deltas, error, dof) @ gains)
