"""Noise of the newest versions of a lineage, where it has changed along the way (docs/judging.md).

The log of a version's variance differs by a random step from that of the version before it. The spread of these steps
is unknown, and zero where all versions share one noise. The belief in the last variance comes from forward filtering
over a grid; it is put as degrees of freedom and a scale, from the moments of its log (Smyth, Statistical Applications
in Genetics and Molecular Biology 3, 2004).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from autoresearch.judge.noise import Array, Draw, Noise

_GRID = np.linspace(-9.0, 5.0, 71)  # log of a version's variance / that of all versions
START_SPREAD = 1.5  # of the log of the first version's variance
_CHANGES = {0.0: 0.7, 1.0: 0.3}  # spread of a step of that log, and its prior probability


@dataclass(frozen=True)
class Squares:
    """Sum of squared deviations of draws from the mean of their version, and its degrees of freedom."""

    total: float = 0.0
    dof: int = 0

    @classmethod
    def of(cls, groups: Sequence[Sequence[Draw]]) -> "Squares":
        """Sum up groups of draws, one group for each version."""
        repeated = [np.array([draw.score for draw in group]) for group in groups if len(group) > 1]
        total = sum(float(np.sum((scores - scores.mean()) ** 2)) for scores in repeated)
        return cls(total, sum(len(scores) - 1 for scores in repeated))


@dataclass(frozen=True)
class _Belief:
    """What is believed of a variance: mean and variance of its log, relative to that of all versions."""

    mean: float
    variance: float

    @classmethod
    def with_dof(cls, dof: float) -> "_Belief":
        """Return the belief after so many degrees of freedom that agree with all versions."""
        half = dof / 2
        return cls(1 / (2 * half) + 1 / (12 * half**2), 1 / half + 1 / (2 * half**2))

    @property
    def dof(self) -> float:
        """Return the degrees of freedom of the scaled inverse chi-square distribution with these moments."""
        return (1 + math.sqrt(1 + 2 * self.variance)) / self.variance

    @property
    def factor(self) -> float:
        """Return the scale of that distribution, as a factor of the standard deviation."""
        return math.exp((self.mean - _Belief.with_dof(self.dof).mean) / 2)


def newest_noise(noise: Noise, lineage: Sequence[Squares]) -> Noise:
    """Return the noise of a trial of the last version of a lineage, from the squares of each version in order.

    `noise` is that of all versions as if they shared one. It is returned as it is for the first version.
    """
    if len(lineage) < 2 or noise.dof <= 0 or noise.sigma <= noise.least:
        return noise
    found = [_filter(noise.sigma**2, lineage, change) for change in _CHANGES]
    best = max(evidence for evidence, _ in found)
    odds = [prior * math.exp(evidence - best) for prior, (evidence, _) in zip(_CHANGES.values(), found, strict=True)]
    beliefs = [_Belief.with_dof(noise.dof), *(belief for _, belief in found[1:])]
    belief = _mix(beliefs, [each / sum(odds) for each in odds])
    factor = max(belief.factor, noise.least / noise.sigma)
    models = tuple(replace(each, sigma=each.sigma * factor) for each in noise.models)
    return replace(noise, sigma=noise.sigma * factor, dof=min(belief.dof, noise.dof), models=models)


def _mix(beliefs: Sequence[_Belief], odds: Sequence[float]) -> _Belief:
    mean = sum(p * belief.mean for p, belief in zip(odds, beliefs, strict=True))
    spread = (p * (belief.variance + (belief.mean - mean) ** 2) for p, belief in zip(odds, beliefs, strict=True))
    return _Belief(mean, sum(spread))


def _filter(variance: float, lineage: Sequence[Squares], change: float) -> tuple[float, _Belief]:
    """Return the log evidence for steps of this spread, and the belief in the last version's variance."""
    weights = np.exp(-((_GRID / START_SPREAD) ** 2) / 2)
    weights, evidence = weights / weights.sum(), 0.0
    for k, squares in enumerate(lineage):
        if k and change:
            weights = (_steps(change) * weights).sum(axis=1)
        logs = -(squares.dof * _GRID + squares.total / variance * np.exp(-_GRID)) / 2
        weights = weights * np.exp(logs - logs.max())
        evidence += float(logs.max()) + math.log(float(weights.sum()))
        weights = weights / weights.sum()
    mean = float(weights @ _GRID)
    return evidence, _Belief(mean, float(weights @ (_GRID - mean) ** 2))


@cache
def _steps(change: float) -> Array:
    """Return the probability of each step of the log, [to, from] (Laplace's distribution)."""
    density = np.exp(-np.abs(_GRID[:, None] - _GRID) / change)
    return np.asarray(density / density.sum(axis=0))
