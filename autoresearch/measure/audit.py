"""The arithmetic of an audit: which positions are asked, what is shown there, and what the differences say."""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.uint16]

# limits on d = audited - claimed, in nats per token
D_ROUNDING = 1e-6  # a smaller difference is the rounding of float32 claims
D_MEAN = 0.002  # tolerance, plus four standard errors
D_MEAN_MAX = 0.01
D_RMS_MAX = 0.03
D_OUTLIER = 0.25  # a |d| above this counts as an outlier
OUTLIERS_MAX = 0.005  # share of the audited positions
SPARE_DRAWS = 8  # for each audited position: further draws in the same row are dropped


@dataclass(frozen=True)
class Audit:
    """Statistics of `d = audited - claimed`, in nats per token."""

    n: int
    d_mean: float
    d_se: float
    d_rms: float
    outliers: float

    @property
    def suspicion(self) -> str | None:
        """Return the reason not to believe the claim; None if there is none."""
        if not math.isfinite(self.d_rms):
            return "the audit gave values that are not finite"
        if abs(self.d_mean) > min(D_MEAN + 4 * self.d_se, D_MEAN_MAX):
            return f"audited loss differs from the claimed one by {self.d_mean:+.4f} nats per token"
        if self.d_rms > D_RMS_MAX:
            return f"audited and claimed losses scatter by {self.d_rms:.4f} nats (limit {D_RMS_MAX})"
        if self.outliers > OUTLIERS_MAX:
            return f"{self.outliers:.1%} of the audited positions differ by over {D_OUTLIER} nats"
        return None


def draw_positions(scored: npt.NDArray[np.bool_], count: int, rng: np.random.Generator) -> tuple[Integers, Integers]:
    """Draw up to `count` (row, position) pairs uniformly over the scored tokens, at most one in each row.

    Of two windows of one row, the longer one would show the auditor the answer to the shorter.
    """
    candidates = np.flatnonzero(scored)
    drawn = rng.choice(candidates, min(SPARE_DRAWS * count, len(candidates)), replace=False)
    row, position = np.unravel_index(drawn, scored.shape)
    first = np.sort(np.unique(row, return_index=True)[1])[:count]
    return np.asarray(row[first], np.int64), np.asarray(position[first], np.int64)


def splice(rows: Tokens, row: Integers, position: Integers, rng: np.random.Generator) -> Tokens:
    """Return the rows' inputs up to each position, continued with rows about which nothing is asked."""
    windows = rows[row, :-1].copy()
    others = rows[rng.choice(np.setdiff1d(np.arange(len(rows)), row), len(row)), :-1]
    after = np.arange(windows.shape[1]) > position[:, None]
    windows[after] = others[after]
    return windows


def losses_of(logits: Floats, targets: Tokens) -> Floats:
    """Return minus log-likelihood [n] of `targets` [n] under `logits` [n, vocab_size], normalised in float64."""
    top = logits.max(1)
    with np.errstate(invalid="ignore", over="ignore"):
        total = top + np.log(np.exp(logits - top[:, None]).sum(1))
    return np.asarray(total - logits[np.arange(len(targets)), targets.astype(np.int64)], np.float64)


def compare(audited: Floats, claimed: Floats) -> Audit:
    """Return the statistics of `audited - claimed`."""
    with np.errstate(invalid="ignore"):
        d = audited - claimed
    if not np.isfinite(d).all():
        return Audit(len(d), math.inf, math.inf, math.inf, 1.0)
    se = float(d.std(ddof=1)) / math.sqrt(len(d)) if len(d) > 1 else math.inf
    rms = math.sqrt(float((d * d).mean()))
    return Audit(len(d), float(d.mean()), se, rms, float((abs(d) > D_OUTLIER).mean()))
