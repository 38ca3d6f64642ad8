"""Student's t: how probable a difference is when the noise itself is only estimated."""

import math
from statistics import NormalDist


def p_below_zero(delta: float, standard_error: float, dof: float) -> float:
    """Probability that a difference is below zero, given its estimate: Student's t by Wallace's approximation (1959)."""
    t = -delta / standard_error
    if dof <= 0:
        return 0.5
    z = (8 * dof + 1) / (8 * dof + 3) * math.sqrt(dof * math.log1p(t * t / dof))
    return NormalDist().cdf(math.copysign(z, t))
