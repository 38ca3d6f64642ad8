"""Compare two versions row by row of the validation text, or task by task of a rate.

Every version is scored on the same rows, and hard rows are hard for both. So their difference is known much better than
either score.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from autoresearch.files import read_json
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.metric import Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RowDifference:
    """One version minus another: `better` rows of `count`, and `delta` in bits per byte.

    `error` is the standard error of `delta` over the choice of rows; it does not contain the noise of seeds.
    """

    better: int
    count: int
    delta: float
    error: float


@dataclass(frozen=True)
class TaskDifference:
    """Of `count` tasks, how many one version solves better than another, and worse, on the mean of its trials."""

    better: int
    worse: int
    count: int


def compare_tasks(
    ours: Sequence[Mapping[str, float]], theirs: Sequence[Mapping[str, float]], metric: Metric
) -> TaskDifference | None:
    """Compare two versions by the scores of their trials; None if one has none, or other tasks."""
    if not ours or not theirs or any(each.keys() != ours[0].keys() for each in (*ours, *theirs)):
        return None
    gains = [fmean(t[task] for t in ours) - fmean(t[task] for t in theirs) for task in ours[0]]
    deltas = [metric.sign(gain) for gain in gains]
    return TaskDifference(sum(each < 0 for each in deltas), sum(each > 0 for each in deltas), len(deltas))


def mean_scores(files: Artefacts) -> Floats | None:
    """Return nats and bytes by row, [rows, 2], averaged over good trials; None without files that can be read."""
    scores = []
    for k, arrays in files.read_arrays("nats", "bytes"):
        result = read_json(files.trial(k, ".json"))
        if result is not None and result.get("outcome") == "ok":
            scores.append(np.stack(arrays, 1))
    return np.mean(scores, 0) if scores else None


def compare_rows(ours: Floats | None, theirs: Floats | None) -> RowDifference | None:
    """Compare two versions; None if they were not scored on the same rows."""
    if ours is None or theirs is None or not np.array_equal(ours[:, 1], theirs[:, 1]):
        return None
    bits, size = (ours[:, 0] - theirs[:, 0]) / math.log(2), ours[:, 1]
    delta = bits.sum() / size.sum()
    spread = np.square(bits - delta * size).sum()  # long rows may differ by more
    error = math.sqrt(spread * len(size) / max(1, len(size) - 1)) / size.sum()
    return RowDifference(int((bits < 0).sum()), len(size), float(delta), float(error))
