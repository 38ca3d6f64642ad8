"""What a session believes about the effect of the next idea, learned from the ideas it has measured.

An idea is a gain, nothing, or harm. The share of gains and their size start from what public campaigns found and
move with every candidate: a session in which nothing works grows sceptical, one that finds large gains believes the next one
sooner. That is how the rule knows how many candidates were tried (Scott and Berger, Annals of Statistics 38, 2010).
Effects are in sigmas of one trial.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoresearch.judge.noise import Array

FAR = 5000.0  # sigma; a difference beyond this says no more
SPACING = 0.1  # of the points of the grid, in both directions, as a share of their size
_SIZES = np.geomspace(0.25, FAR, 46)
EFFECTS: Array = np.concatenate([-_SIZES[::-1], [0.0], _SIZES])
GAIN, NOTHING, HARM = EFFECTS < 0, EFFECTS == 0, EFFECTS > 0
GAINS, OTHERS = 5.0, 25.0  # ideas that the first beliefs count for: one in six is a gain
SCALE = 3.0  # median of gains at the start, and of harm
LARGE = 8.0  # a gain beyond this says no more of the size of others
HARMFUL = 0.6  # of the ideas that are no gain; 55 of 87 in public campaigns
TAILS = 10.0  # degrees of freedom of a score: real ones stray further than normal ones


@dataclass(frozen=True)
class Beliefs:
    """Probability that the next idea is a gain, and the median of gains in sigma."""

    share: float = GAINS / (GAINS + OTHERS)
    scale: float = SCALE

    @property
    def effects(self) -> Array:
        """Probability of each of `EFFECTS`."""
        gains, harms = _half_cauchy(GAIN, self.scale), _half_cauchy(HARM, SCALE)
        return np.asarray(self.share * gains + (1 - self.share) * (HARMFUL * harms + (1 - HARMFUL) * NOTHING))


def learn(past: Iterable[tuple[float, float]]) -> Beliefs:
    """From the differences (in sigma) of the candidates so far and the probability that each was a gain."""
    found = list(past)
    gains = GAINS + sum(p for _, p in found)
    sizes = GAINS * SCALE + sum(p * min(max(-delta, 0.0), LARGE) for delta, p in found)
    return Beliefs(gains / (GAINS + OTHERS + len(found)), sizes / gains)


def p_gain(beliefs: Beliefs, delta: float, error: float, dof: float) -> float:
    """Probability of a gain after a difference was measured with a standard error, both in sigma."""
    return float(_posterior(beliefs, delta, error, dof)[GAIN].sum())


def p_loss(beliefs: Beliefs, bound: float, delta: float, error: float, dof: float) -> float:
    """Probability of a loss above `bound`, likewise."""
    return float(_posterior(beliefs, delta, error, dof)[bound < EFFECTS].sum())


def _posterior(beliefs: Beliefs, delta: float, error: float, dof: float) -> Array:
    """Bayes' rule over `EFFECTS`. The likelihood is Student's t: wide while sigma is hardly known, never without tails."""
    dof = max(1.0, min(dof, TAILS))
    spread = np.hypot(error, SPACING * EFFECTS)  # each point stands for its neighbourhood
    away = (min(max(delta, -FAR), FAR) - EFFECTS) / spread
    weights: Array = beliefs.effects * (1 + away**2 / dof) ** (-(dof + 1) / 2) / spread
    return np.asarray(weights / weights.sum())


def _half_cauchy(where: NDArray[np.bool_], scale: float) -> Array:
    """Over the points of one side: density times the width that each point stands for, which grows with its size.

    Its tail is long: on a quiet machine a good idea can be worth a hundred sigma.
    """
    weights: Array = np.where(where, np.abs(EFFECTS) / (1 + (EFFECTS / scale) ** 2), 0.0)
    return np.asarray(weights / weights.sum())
