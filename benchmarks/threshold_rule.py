"""The decision rule until 2026-11-28, to compare with: fixed thresholds on the probability of a gain.

Every incumbent was measured `REPLICATES` times before a candidate was compared with it, and again every `EVERY` trials.
"""

from collections.abc import Sequence

from autoresearch import judge
from autoresearch.judge import Beliefs, Decision, Draw, Noise
from autoresearch.judge.beliefs import p_gain

REPLICATES = 3
EVERY = 20
PROMISING = 0.2  # probability of a gain that a screening needs for a re-run
FUTILE = 0.15  # less than this after re-runs discards
CERTAIN = 0.6  # this and more after re-runs keeps
MIN_RERUNS, MAX_RERUNS = 2, 4


def is_due(incumbent: Sequence[Draw], trials: int) -> bool:
    """Return whether the incumbent was measured again before the next candidate."""
    return len(incumbent) < REPLICATES or trials - incumbent[-1].at >= EVERY


def decide(
    candidate: Sequence[Draw], incumbent: Sequence[Draw], noise: Noise, beliefs: Beliefs, certain: float = CERTAIN
) -> Decision:
    """Judge a candidate's draws, in order, against the incumbent's."""
    fresh = candidate[1:]
    means = [(each.weight, *judge.difference(candidate, incumbent, each)) for each in noise.models]
    p = sum(w * p_gain(beliefs, delta / noise.sigma, error / noise.sigma, noise.dof) for w, delta, error in means)
    delta = sum(each.weight * judge.difference(fresh or candidate, incumbent, each)[0] for each in noise.models)
    if not fresh:
        action = "run_again" if p >= PROMISING else "discard"
    elif p < FUTILE:
        action = "discard"
    elif p >= certain and len(fresh) >= MIN_RERUNS and delta < 0:
        action = "keep"
    elif len(fresh) >= MAX_RERUNS:
        action = "discard"
    else:
        action = judge.more_informative(candidate, incumbent, noise)
    return Decision(action, "", delta, p)
