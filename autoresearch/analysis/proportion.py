"""The interval of a share."""

import math

Z = 1.959964  # standard deviations: 95 % of a normal distribution lie within


def proportion(successes: int, tries: int) -> tuple[float, float]:
    """Return the 95 % interval of a share by Wilson's method (1927)."""
    if tries == 0:
        return 0.0, 1.0
    share, square = successes / tries, Z * Z
    middle = (share + square / (2 * tries)) / (1 + square / tries)
    reach = Z / (1 + square / tries) * math.sqrt(share * (1 - share) / tries + square / (4 * tries * tries))
    return max(0.0, middle - reach), min(1.0, middle + reach)
