"""Evidence on near misses from the measurement of several of them together."""

import math
from collections.abc import Sequence

MIN_ODDS, MAX_ODDS = 1e-6, 1 - 1e-6  # keep the ratios finite


def update_parts(parts: Sequence[float], pool: float, share: float) -> list[float]:
    """Return the probabilities that single changes are gains, after their pool was measured.

    `parts` are the probabilities from their own trials, `pool` is the pool's from its trials, under a prior of `share`.
    The pool counts as a gain if a part is one. So its trials have a Bayes factor for "the pool is a gain", which is
    evidence on each part: the more, the less probable it is that another part is the gain.
    """
    factor = _ratio(pool) / _ratio(share)
    updated = []
    for k, own in enumerate(parts):
        another = 1 - math.prod(1 - other for j, other in enumerate(parts) if j != k)
        without = another * factor + 1 - another
        updated.append(own * factor / (own * factor + (1 - own) * without))
    return updated


def _ratio(probability: float) -> float:
    bounded = min(max(probability, MIN_ODDS), MAX_ODDS)
    return bounded / (1 - bounded)
