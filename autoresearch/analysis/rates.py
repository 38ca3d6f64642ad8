"""How sure a share is."""

import math

Z = 1.959964  # of a normal distribution: 95 % lie within so many standard deviations


def proportion(found: int, tried: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `found` of `tried` is a sample (Wilson 1927)."""
    if tried == 0:
        return 0.0, 1.0
    share, square = found / tried, Z * Z
    middle = (share + square / (2 * tried)) / (1 + square / tried)
    reach = Z / (1 + square / tried) * math.sqrt(share * (1 - share) / tried + square / (4 * tried * tried))
    return max(0.0, middle - reach), min(1.0, middle + reach)
