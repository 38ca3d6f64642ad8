"""Learn a prior over the effect of the next idea, in sigmas of one trial, from the ideas measured so far.

So the rule takes into account how many candidates were tried (Scott and Berger, Annals of Statistics 38, 2010); see
docs/judging.md.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoresearch.judge.noise import Array

MAX_EFFECT_SIGMA = 5000.0  # larger differences are clipped
GRID_STEP = 0.1  # distance of neighbouring grid points / their size
_SIZES = np.geomspace(0.25, MAX_EFFECT_SIGMA, 46)
EFFECTS: Array = np.concatenate([-_SIZES[::-1], [0.0], _SIZES])
GAIN, NOTHING, HARM = EFFECTS < 0, EFFECTS == 0, EFFECTS > 0
PRIOR_GAINS, PRIOR_OTHERS = 5.0, 25.0  # ideas that the prior counts for: one in six is a gain
PRIOR_SCALE_SIGMA = 3.0  # median size of gains at the start, and of harm
MAX_GAIN_SIGMA = 8.0  # a measured gain counts for at most this in the median of gains
HARM_SHARE = 0.6  # of the ideas that are no gain; 55 of 87 in public campaigns
MAX_LIKELIHOOD_DOF = 10.0  # real scores have heavier tails than a normal distribution


@dataclass(frozen=True)
class Beliefs:
    """Probability that the next idea is a gain, and the median of gains in sigma."""

    share: float = PRIOR_GAINS / (PRIOR_GAINS + PRIOR_OTHERS)
    scale: float = PRIOR_SCALE_SIGMA

    @property
    def effects(self) -> Array:
        """Return the probability of each of `EFFECTS`."""
        gains, harms = _half_cauchy(GAIN, self.scale), _half_cauchy(HARM, PRIOR_SCALE_SIGMA)
        return np.asarray(self.share * gains + (1 - self.share) * (HARM_SHARE * harms + (1 - HARM_SHARE) * NOTHING))


def learn(past: Iterable[tuple[float, float]]) -> Beliefs:
    """Update the prior with pairs of a difference in sigma and its probability of a gain."""
    found = list(past)
    gains = PRIOR_GAINS + sum(p for _, p in found)
    sizes = PRIOR_GAINS * PRIOR_SCALE_SIGMA + sum(p * min(max(-delta, 0.0), MAX_GAIN_SIGMA) for delta, p in found)
    return Beliefs(gains / (PRIOR_GAINS + PRIOR_OTHERS + len(found)), sizes / gains)


def p_gain(beliefs: Beliefs, delta: float, error: float, dof: float) -> float:
    """Return the probability of a gain, given a difference and its standard error in sigma."""
    return float(posterior(beliefs, np.array([delta]), error, dof)[0, GAIN].sum())


def p_loss(beliefs: Beliefs, bound: float, delta: float, error: float, dof: float) -> float:
    """Return the probability of a loss above `bound` sigma, likewise."""
    return float(posterior(beliefs, np.array([delta]), error, dof)[0, bound < EFFECTS].sum())


def likelihood(beliefs: Beliefs, deltas: Array, errors: Array, dof: float) -> Array:
    """Return how well the beliefs explain each difference with its error, [n]."""
    return np.asarray(_weights(beliefs, deltas, errors, dof).sum(axis=1))


def posterior(beliefs: Beliefs, deltas: Array, error: float, dof: float) -> Array:
    """Apply Bayes' rule over `EFFECTS` for each difference, [n, effects]."""
    return posterior_each(beliefs, deltas, np.full(len(deltas), error), dof)


def posterior_each(beliefs: Beliefs, deltas: Array, errors: Array, dof: float) -> Array:
    """Apply Bayes' rule over `EFFECTS` for each difference with its own standard error, [n, effects]."""
    weights = _weights(beliefs, deltas, errors, dof)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def _weights(beliefs: Beliefs, deltas: Array, errors: Array, dof: float) -> Array:
    """Return prior times likelihood, [n, effects]; the likelihood is Student's t."""
    dof = max(1.0, min(dof, MAX_LIKELIHOOD_DOF))
    spread = np.hypot(errors[:, None], GRID_STEP * EFFECTS)  # each grid point stands for an interval
    away = (np.clip(deltas, -MAX_EFFECT_SIGMA, MAX_EFFECT_SIGMA)[:, None] - EFFECTS) / spread
    return np.asarray(beliefs.effects * np.exp(np.log1p(away**2 / dof) * (-(dof + 1) / 2)) / spread)


def _half_cauchy(where: NDArray[np.bool_], scale: float) -> Array:
    """Return the probabilities of one side's grid points: density times width.

    The long tail allows for large gains: on a machine with little noise they reach a hundred sigma.
    """
    weights: Array = np.where(where, np.abs(EFFECTS) / (1 + (EFFECTS / scale) ** 2), 0.0)
    return np.asarray(weights / weights.sum())
