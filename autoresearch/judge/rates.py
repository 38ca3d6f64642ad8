"""Noise of a rate: the mean of results that are known task by task (docs/judging.md).

Two things make a difference of two versions uncertain: other seeds give other results, and other tasks would, too. The
first shrinks with every trial. The second does not, and is found from the tasks on which two versions differ.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from autoresearch.judge.noise import MAX_EARLIER_DOF, Array, Noise

Tasks = Mapping[str, float]  # scores by task of one trial
DISCORDANT = 0.1  # share of the tasks on which two versions of the same quality typically differ
MORE_DISCORDANT = 1.0  # tasks that are added to those: three of three for the better are no proof (Agresti and Min)


def seed_noise(versions: Sequence[Sequence[Tasks]]) -> tuple[float, float] | None:
    """Return the standard deviation of one trial by its seed alone, and the degrees of freedom that it counts for.

    It follows from the spread of each task's results over trials of one version, as if tasks were independent. None
    where no version was measured twice.
    """
    squares, count, tasks = 0.0, 0, 1
    for trials in versions:
        if len(trials) > 1:
            scores = _array(trials)
            squares += float(np.square(scores - scores.mean(axis=0)).sum())
            count, tasks = count + (len(trials) - 1) * scores.shape[1], scores.shape[1]
    return (math.sqrt(squares / count / tasks), MAX_EARLIER_DOF) if count else None


def task_error(ours: Sequence[Tasks], theirs: Sequence[Tasks], seed_sigma: float) -> float:
    """Return the standard error of a difference over the choice of tasks, which more trials do not reduce.

    The spread of the differences by task contains that of the seeds, which is taken off.
    """
    if not ours or not theirs:
        return 0.0
    differences = _array(ours, theirs[0]).mean(axis=0) - _array(theirs).mean(axis=0)
    squares = float(np.square(differences - differences.mean()).sum()) + MORE_DISCORDANT
    by_seeds = seed_sigma**2 * (1 / len(ours) + 1 / len(theirs))
    return math.sqrt(max(squares / differences.size**2 - by_seeds, 0.0))


def typical_error(tasks: int) -> float:
    """Return the standard error over the choice of tasks that two versions of the same quality typically have."""
    return math.sqrt(DISCORDANT * tasks + MORE_DISCORDANT) / tasks


def rate_noise(noise: Noise, tasks: int) -> Noise:
    """Return the noise with a sigma that is no less than the typical error over tasks."""
    return replace(noise, sigma=max(noise.sigma, typical_error(tasks)), dof=max(noise.dof, MAX_EARLIER_DOF))


def _array(trials: Sequence[Tasks], order: Tasks | None = None) -> Array:
    """Return scores, [trials, tasks], with the tasks in the order of the first trial."""
    names = list(order or trials[0])
    return np.array([[trial[name] for name in names] for trial in trials], dtype=np.float64)
