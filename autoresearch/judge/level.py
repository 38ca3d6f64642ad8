"""What all trials say of an incumbent's level: its own, those of its candidates, and those of the version before it.

Most ideas have a small effect or none, so the scores of candidates lie around the level of their incumbent. By Bayes'
rule they tell about it, and it need not be measured as often (docs/judging.md).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Self

import numpy as np

from autoresearch.judge.beliefs import Beliefs, likelihood
from autoresearch.judge.noise import MAX_DRAWS, Draw, Noise

_OFFSETS = np.linspace(-4.0, 4.0, 41)  # of the level from the mean of the incumbent's draws, in sigma
MIN_PRECISION = 0.05  # of a summary, in trials: below, it says nothing
ANCESTORS = 1  # earlier incumbents that are considered
MAX_SELECTING_SIGMA = 6.0  # from the mean of the fresh draws; a selecting draw beyond it is an accident


@dataclass(frozen=True)
class Incumbent:
    """The draws of an incumbent, and of the versions beside it."""

    fresh: Sequence[Draw]  # they did not select it
    selecting: Sequence[Draw] = ()
    candidates: Sequence[Sequence[Draw]] = ()  # of each candidate that was compared with it
    parent: Self | None = None  # the incumbent before it
    spread: float = 1.0  # standard deviation of its trials / that of the newest versions

    def with_summary(self, noise: Noise, beliefs: Beliefs) -> list[Draw]:
        """Return its fresh draws, and one more that sums up what all others say of its level, at their mean time."""
        others = [*self.selecting, *(draw for draws in self.candidates for draw in draws)]
        if not (others or self.parent) or noise.dof <= 0:
            return list(self.fresh)
        level, variance = _level(self, noise, beliefs, ANCESTORS)
        precision = 1 / variance - len(self.fresh)
        if precision < MIN_PRECISION:
            return list(self.fresh)
        total = sum(draw.score for draw in self.fresh)
        at = round(fmean(draw.at for draw in others or self.fresh))
        return [*self.fresh, Draw((level / variance - total) / precision, at, variance=1 / precision)]


def _plausible_selecting(incumbent: Incumbent, noise: Noise) -> Sequence[Draw]:
    """Return the selecting draws that the fresh ones do not contradict: one lucky accident must not set the level."""
    if not incumbent.fresh:
        return incumbent.selecting
    mean = fmean(draw.score for draw in incumbent.fresh)
    return [draw for draw in incumbent.selecting if abs(draw.score - mean) <= MAX_SELECTING_SIGMA * noise.sigma]


def _level(incumbent: Incumbent, noise: Noise, beliefs: Beliefs, ancestors: int) -> tuple[float, float]:
    """Return the mean of the level in bits per byte, and its variance in sigma squared."""
    newest, noise = noise, replace(noise, sigma=noise.sigma * incumbent.spread)
    own = [*incumbent.fresh, *_plausible_selecting(incumbent, noise)]
    centre = fmean(draw.score for draw in own)
    candidates = [draws for draws in incumbent.candidates if draws][-MAX_DRAWS:]
    deltas = [fmean(draw.score for draw in draws) - centre for draws in candidates]
    variances = [1 / len(draws) for draws in candidates]
    signs = [-1.0] * len(candidates)
    if incumbent.parent and ancestors:
        before, variance = _level(incumbent.parent, newest, beliefs, ancestors - 1)
        variance /= incumbent.spread**2
        deltas, signs = [*deltas, centre - before], [*signs, 1.0]
        variances = [*variances, variance]
    shifted = np.array(deltas)[:, None] / noise.sigma + np.array(signs)[:, None] * _OFFSETS
    errors = np.repeat(np.sqrt(variances), len(_OFFSETS))
    found = np.log(likelihood(beliefs, shifted.ravel(), errors, noise.dof)).reshape(shifted.shape)
    logs = found.sum(axis=0) - len(own) * _OFFSETS**2 / 2
    weights = np.exp(logs - logs.max())
    weights /= weights.sum()
    offset = float(weights @ _OFFSETS)
    variance = float(weights @ (_OFFSETS - offset) ** 2)
    return centre + offset * noise.sigma, variance * incumbent.spread**2
