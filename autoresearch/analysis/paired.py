"""Two versions row by row: how far their difference hangs on which rows of text are scored.

Every version is scored on the same rows, and what is hard in them is hard for both: the difference of two versions is
known much better than the score of either.
"""

import json
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoresearch.ledger.artefacts import Artefacts

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """One version less another: on how many rows it is better, and by how many bits per byte on all of them.

    `error` is the standard error of `delta` over the choice of rows; what seeds add is not in it.
    """

    better: int
    count: int
    delta: float
    error: float


def scored(files: Artefacts) -> Floats | None:
    """Nats and bytes, [rows, 2], the mean of an experiment's trials that ended well; None where none are left."""
    found = []
    for path in sorted(files.folder.glob("trial-*.npz")):
        told = path.with_suffix(".json")
        if told.exists() and json.loads(told.read_text())["outcome"] == "ok":
            with np.load(path) as arrays:
                found.append(np.stack([arrays["nats"], arrays["bytes"]], 1))
    return np.mean(found, 0) if found else None


def compared(ours: Floats | None, theirs: Floats | None) -> Rows | None:
    """The first version less the second; None where they were not scored on the same rows."""
    if ours is None or theirs is None or not np.array_equal(ours[:, 1], theirs[:, 1]):
        return None
    bits, size = (ours[:, 0] - theirs[:, 0]) / math.log(2), ours[:, 1]
    delta = bits.sum() / size.sum()
    spread = np.square(bits - delta * size).sum()  # long rows may differ by more
    error = math.sqrt(spread * len(size) / max(1, len(size) - 1)) / size.sum()
    return Rows(int((bits < 0).sum()), len(size), float(delta), float(error))
