"""Effect of a lesson in the brief on the odds that a proposal is kept (docs/agents.md).

Proposals are compared within strata: two neighbouring blocks of one session. How many of the keeps of a stratum are
among the proposals with the lesson follows Fisher's noncentral hypergeometric distribution, in which only the odds
ratio is unknown: the level of the stratum cancels (Breslow and Day, Statistical Methods in Cancer Research 1, 1980,
chapter 7). The log of the odds ratio has a normal prior around 0.
"""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
PRIOR_SD = 0.7  # of the log of the odds ratio: nine of ten lessons are expected between 0.3 and 3.2
GRID = np.linspace(-4.0, 4.0, 161)  # of the log of the odds ratio
MAX_KNOWN = 10_000  # strata whose likelihood is kept


@dataclass(frozen=True)
class Stratum:
    """Counts of proposals with the lesson in their brief and without it, and of the keeps among them."""

    tried_with: int = 0
    kept_with: int = 0
    tried_without: int = 0
    kept_without: int = 0


@dataclass(frozen=True)
class LessonEffect:
    """Posterior of the log of the odds ratio: probabilities of the points of `GRID`."""

    weights: Array

    def p_above(self, ratio: float) -> float:
        """Return the probability that the odds ratio is above `ratio`."""
        return float(self.weights[math.log(ratio) < GRID].sum())

    def quantile(self, probability: float) -> float:
        """Return a quantile of the log of the odds ratio."""
        return float(np.interp(probability, np.cumsum(self.weights) - self.weights / 2, GRID))


def lesson_effect(strata: Iterable[Stratum]) -> LessonEffect:
    """Return the posterior of the effect after some strata; the prior without any."""
    log = -0.5 * np.square(GRID / PRIOR_SD)
    for stratum, count in Counter(strata).items():
        log = log + count * _log_likelihood(stratum)
    weights = np.exp(log - log.max())
    return LessonEffect(weights / weights.sum())


@lru_cache(MAX_KNOWN)
def _log_likelihood(stratum: Stratum) -> Array:
    kept = stratum.kept_with + stratum.kept_without
    possible = np.arange(max(0, kept - stratum.tried_without), min(kept, stratum.tried_with) + 1)
    ways = np.array([math.comb(stratum.tried_with, j) * math.comb(stratum.tried_without, kept - j) for j in possible])
    terms = np.log(ways.astype(np.float64)) + possible * GRID[:, None]
    peak = terms.max(axis=1)
    total: Array = peak + np.log(np.exp(terms - peak[:, None]).sum(axis=1))
    return terms[:, stratum.kept_with - possible[0]] - total
