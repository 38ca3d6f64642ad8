"""Difference of two training curves at one part of the budget.

Two trials with one seed get the same rows in the same order. So where both took a step, the rows of the step cancel in
the difference of their losses, which is far less noisy than either. What remains is corrected for the speed: a faster
version has seen more rows at one part of the budget. Where the steps are of different rows, the candidate's points are
compared with a smooth curve through the incumbent's.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autoresearch.judge.noise import Array

WINDOW = 0.5  # the part of a curve up to now that is compared: its last half
MIN_POINTS = 4  # in it
FIT_FROM = 0.03  # of the budget: before it, losses fall too fast for the smooth curve
OFFSET = 0.02  # of the budget, in the logarithm of the smooth curve
MAX_START_GAP = 0.2  # of the loss: curves that begin farther apart than this do not measure the same thing


@dataclass(frozen=True)
class LossCurve:
    """Points of one trial: part of the budget, step, and mean loss (nats) since the point before."""

    progress: Array
    steps: Array
    losses: Array

    @cached_property
    def is_usable(self) -> bool:
        """Return whether a smooth curve can be fitted, and the steps rise."""
        return int((self.progress >= FIT_FROM).sum()) >= 2 * MIN_POINTS and bool(np.all(np.diff(self.steps) > 0))

    def window(self, progress: float) -> "LossCurve":
        """Return the last half of the points up to a part of the budget."""
        return self._select((self.progress > WINDOW * progress) & (self.progress <= progress))

    def grouped(self, edges: Array) -> "LossCurve":
        """Return a point at each edge but the first, the mean since the one before; edges are steps of this curve."""
        inside = self._select((self.steps > edges[0]) & (self.steps <= edges[-1]))
        place = np.searchsorted(edges, inside.steps) - 1
        losses = np.bincount(place, inside.losses) / np.bincount(place)
        return LossCurve(inside.progress[np.isin(inside.steps, edges)], edges[1:], losses)

    def at(self, progress: Array) -> Array:
        """Return the smooth curve."""
        return np.asarray(_terms(progress) @ self._smooth)

    @cached_property
    def _smooth(self) -> Array:
        late = self._select(self.progress >= FIT_FROM)
        return np.asarray(np.linalg.lstsq(_terms(late.progress), late.losses, rcond=None)[0])

    def _select(self, where: NDArray[np.bool_]) -> "LossCurve":
        return LossCurve(self.progress[where], self.steps[where], self.losses[where])


@dataclass(frozen=True)
class Gap:
    """Loss of a candidate minus that of the incumbent, and its standard error, in shares of the incumbent's loss."""

    mean: float
    error: float


def curve_gap(candidate: LossCurve, incumbent: LossCurve, progress: float) -> Gap | None:
    """Compare two curves up to a part of the budget; None if there are too few points, or if they begin apart."""
    now = candidate.window(progress)
    if not incumbent.is_usable or len(now.losses) < MIN_POINTS or _begin_apart(candidate, incumbent):
        return None
    gaps = [_summarise(now.losses - incumbent.at(now.progress)), *_paired_gap(now, incumbent)]
    best, loss = min(gaps, key=lambda gap: gap.error), float(incumbent.at(np.array([progress]))[0])
    return Gap(best.mean / loss, best.error / loss) if loss > 0 else None


def _begin_apart(candidate: LossCurve, incumbent: LossCurve) -> bool:
    """Return whether the losses at the first step that both logged are far apart: one may not be the loss."""
    common = np.intersect1d(candidate.steps, incumbent.steps)[:1]
    ours, theirs = (curve.losses[np.isin(curve.steps, common)] for curve in (candidate, incumbent))
    return bool(np.any(np.abs(ours - theirs) > MAX_START_GAP * np.abs(theirs)))


def _paired_gap(now: LossCurve, incumbent: LossCurve) -> list[Gap]:
    """Compare the points between steps that both took; nothing if there are too few."""
    edges = np.intersect1d(now.steps, incumbent.steps)
    if len(edges) <= MIN_POINTS or not bool(np.all(np.diff(now.steps) > 0)):
        return []
    ours, theirs = now.grouped(edges), incumbent.grouped(edges)
    faster = incumbent.at(theirs.progress) - incumbent.at(ours.progress)
    return [_summarise(ours.losses - theirs.losses + faster)]


def _summarise(gaps: Array) -> Gap:
    return Gap(float(gaps.mean()), float(gaps.std(ddof=1)) / len(gaps) ** 0.5)


def _terms(progress: Array) -> Array:
    return np.stack([np.ones_like(progress), np.log(progress + OFFSET), progress, progress**2], 1)
