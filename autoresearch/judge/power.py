"""Power of a decision rule: the gain that it keeps with a probability of 80 %.

Candidates with a known gain are simulated on a steady machine and judged by the rule itself, so that a rule that
changes changes its power too. The draws are the same in each call: the result is a number, not an estimate of one.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from itertools import islice

import numpy as np

from autoresearch.judge.noise import STEADY, Draw, Noise, WeightedModel
from autoresearch.judge.rules import decide

POWER = 0.8
CANDIDATES = 64  # simulated for one gain, in pairs with opposite luck
MAX_GAIN_SIGMA = 16.0
PRECISION_SIGMA = 0.1
MAX_DOF = 30  # above this, more degrees of freedom change nothing


def smallest_gain(rule: str, noise: Noise, replicates: int, task_error: float = 0.0) -> float:
    """Return the gain, on the scale of the metric, that `rule` keeps with a probability of `POWER`.

    The incumbent was measured `replicates` times. `task_error` is that of a rate, which no draw reduces.
    """
    fixed = round(task_error / noise.sigma, 1)
    return noise.sigma * _smallest_gain(rule, min(round(noise.dof), MAX_DOF), replicates, fixed)


@lru_cache(maxsize=32)
def _smallest_gain(rule: str, dof: int, replicates: int, task_error: float) -> float:
    """Return the same in sigma, by bisection."""
    low, high = 0.0, MAX_GAIN_SIGMA
    while high - low > PRECISION_SIGMA:
        middle = (low + high) / 2
        low, high = (low, middle) if _kept_share(rule, middle, dof, replicates, task_error) >= POWER else (middle, high)
    return high


def _kept_share(rule: str, gain: float, dof: int, replicates: int, task_error: float) -> float:
    noise = Noise(1.0, float(dof), (WeightedModel(STEADY, 1.0, 1.0),))
    luck = np.random.default_rng(0)
    kept = 0
    for _ in range(CANDIDATES // 2):
        seed = int(luck.integers(2**31))
        missed = float(luck.standard_normal()) * task_error if task_error else 0.0  # by the choice of tasks
        for sign in (-1.0, 1.0):
            kept += _is_kept(rule, gain + sign * missed, noise, replicates, sign, seed, task_error)
    return kept / (CANDIDATES // 2 * 2)


def _is_kept(rule: str, gain: float, noise: Noise, replicates: int, sign: float, seed: int, task_error: float) -> bool:
    """Judge one candidate, trial by trial."""
    scores = _scores(sign, seed)
    incumbent = [Draw(score, at) for at, score in enumerate(islice(scores, replicates))]
    candidate = [Draw(next(scores) - gain, replicates)]
    judge = partial(decide, rule, noise=noise, task_error=task_error)
    while (action := judge(candidate, incumbent).action) in ("run_again", "compare"):
        score, at = next(scores), len(candidate) + len(incumbent)
        if action == "compare":
            incumbent.append(Draw(score, at))
        else:
            candidate.append(Draw(score - gain, at))
    return action == "keep"


def _scores(sign: float, seed: int) -> Iterator[float]:
    """Yield independent scores of one version, in sigma around its mean."""
    rng = np.random.default_rng(seed)
    while True:
        yield sign * float(rng.standard_normal())
