"""The arithmetic of an audit: which positions are asked, what is shown there, and what the differences say.

Half of the probability is spread evenly over the scored tokens. The other half goes where a claim falls below the
incumbent's: only there can a lie gain, and a nat of gain is equally likely to be asked about wherever it is claimed.
Each difference counts with the inverse of its probability, so that the mean of the audit stays unbiased.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Tokens = npt.NDArray[np.uint16]
Coarse = npt.NDArray[np.uint8]  # losses in steps of 1 / STEPS_PER_NAT nats, enough to choose positions by

# limits on d = audited - claimed, in nats per token
D_ROUNDING = 1e-6  # a smaller difference is the rounding of float32 claims
D_MEAN = 0.002  # tolerance, plus four standard errors
D_MEAN_MAX = 0.01
D_RMS_MAX = {"cpu": 0.01, "cuda": 0.03}  # by device: a version could pretend to any type of arithmetic
D_OUTLIER = 0.25  # a |d| above this counts as an outlier
OUTLIERS_MAX = 0.005  # share of the audited positions

TARGETED = 0.5  # share of the probability that goes where a claim falls below the incumbent's
STEPS_PER_NAT = 8


@dataclass(frozen=True)
class Audit:
    """Statistics of `d = audited - claimed`, in nats per token.

    `d_mean` and its standard error `d_se` are weighted: they stand for all scored tokens. `d_rms` (at most
    `d_rms_max`) and `outliers` are those of the `n` audited positions.
    """

    n: int
    d_mean: float
    d_se: float
    d_rms: float
    outliers: float
    d_rms_max: float

    @property
    def suspicion(self) -> str | None:
        """Return the reason not to believe the claim; None if there is none."""
        if not math.isfinite(self.d_rms):
            return "the audit gave values that are not finite"
        if abs(self.d_mean) > min(D_MEAN + 4 * self.d_se, D_MEAN_MAX):
            return f"audited loss differs from the claimed one by {self.d_mean:+.4f} nats per token"
        if self.d_rms > self.d_rms_max:
            return f"audited and claimed losses scatter by {self.d_rms:.4f} nats (limit {self.d_rms_max})"
        if self.outliers > OUTLIERS_MAX:
            return f"{self.outliers:.1%} of the audited positions differ by over {D_OUTLIER} nats"
        return None


@dataclass(frozen=True)
class DrawnPositions:
    """Audited positions: `row`, `position` and `weight` [n]; a weight is 1 where positions are drawn uniformly."""

    row: Integers
    position: Integers
    weight: Floats


def coarse(losses: Floats) -> Coarse:
    """Return losses as they are stored."""
    return np.clip(np.rint(losses * STEPS_PER_NAT), 0, 255).astype(np.uint8)


def falls_below(incumbent: Coarse, claims: Floats) -> Floats:
    """Return by how many nats the claims are lower than the incumbent's; zero where they are not."""
    return np.maximum(incumbent / STEPS_PER_NAT - claims, 0.0)


def draw_positions(
    scored: npt.NDArray[np.bool_], count: int, rng: np.random.Generator, falls: Floats | None = None
) -> DrawnPositions:
    """Draw `count` scored tokens, at most one in each row; with `falls` [rows, seq_len], half by these.

    Of two windows of one row, the longer one would show the auditor the answer to the shorter.
    """
    shares = _shares(scored, falls)
    by_row = shares.sum(1)
    included = _inclusion(by_row, count)
    row = _draw_rows(included, rng)
    cumulated = shares[row].cumsum(1)
    position = (cumulated >= (1 - rng.random((len(row), 1))) * cumulated[:, -1:]).argmax(1)
    probability = included[row] * shares[row, position] / cumulated[:, -1]
    return DrawnPositions(row, position, len(row) / (np.count_nonzero(scored) * probability))


def _shares(scored: npt.NDArray[np.bool_], falls: Floats | None) -> Floats:
    """Return the share of the draws that each token gets; the shares add up to one."""
    even = scored / np.count_nonzero(scored)
    if falls is None:
        return even
    below = np.where(scored, falls, 0.0)
    total = float(below.sum())
    return (1 - TARGETED) * even + TARGETED * below / total if total > 0 else even


def _inclusion(shares: Floats, count: int) -> Floats:
    """Return probabilities proportional to `shares` and at most 1, whose sum is `count`, the expected number."""
    count = min(count, int(np.count_nonzero(shares)))
    certain = np.zeros(len(shares), bool)
    while True:
        left = np.where(certain, 0.0, shares)
        included = certain + (count - np.count_nonzero(certain)) * left / (left.sum() or 1.0)
        over = ~certain & (included > 1 + 1e-12)
        if not over.any():
            return np.asarray(included)
        certain |= over


def _draw_rows(included: Floats, rng: np.random.Generator) -> Integers:
    """Draw each row with its probability: the rows, in random order, on a line that is cut at distances of one."""
    order = rng.permutation(len(included))
    ends = np.floor(included[order].cumsum() + rng.random())
    return np.asarray(order[np.diff(ends, prepend=0.0) > 0], np.int64)


def splice(rows: Tokens, row: Integers, position: Integers, others: Tokens) -> Tokens:
    """Return the rows' inputs up to each position, continued with those of `others`, one for each.

    Training rows: what an auditor learns from its windows should not be text on which it is scored.
    """
    windows = rows[row, :-1].copy()
    after = np.arange(windows.shape[1]) > position[:, None]
    windows[after] = others[:, :-1][after]
    return windows


def losses_of(logits: Floats, targets: Tokens) -> Floats:
    """Return minus log-likelihood [n] of `targets` [n] under `logits` [n, vocab_size], normalised in float64."""
    top = logits.max(1)
    with np.errstate(invalid="ignore", over="ignore"):
        total = top + np.log(np.exp(logits - top[:, None]).sum(1))
    return np.asarray(total - logits[np.arange(len(targets)), targets.astype(np.int64)], np.float64)


def compare(audited: Floats, claimed: Floats, weights: Floats, d_rms_max: float) -> Audit:
    """Return the statistics of `audited - claimed`."""
    with np.errstate(invalid="ignore"):
        d = audited - claimed
    if not np.isfinite(d).all():
        return Audit(len(d), math.inf, math.inf, math.inf, 1.0, d_rms_max)
    weighted = weights * d
    se = float(weighted.std(ddof=1)) / math.sqrt(len(d)) if len(d) > 1 else math.inf
    rms = math.sqrt(float((d * d).mean()))
    return Audit(len(d), float(weighted.mean()), se, rms, float((abs(d) > D_OUTLIER).mean()), d_rms_max)
