"""The curve of a trial: at most CURVE_POINTS points, each the mean of equally many reported losses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev
from typing import Any

from autoresearch.measure.clock import Budget
from autoresearch.text import plausible

CURVE_POINTS = 1000
PARTS = 10  # of the budget

Point = dict[str, float]  # `loss` (a mean), `seconds` and other numbers as they were reported last


@dataclass
class CurveRecorder:
    """Add reported losses to `points`; as they become many, neighbouring points are merged, and none is dropped."""

    points: list[Point]
    _group: list[Point] = field(default_factory=list)
    _size: int = 1  # reports in a point

    def add(self, point: Point) -> None:
        self._group.append(point)
        if len(self._group) == self._size:
            self.finish()
        if len(self.points) == CURVE_POINTS:
            self.points[:] = [_merge(self.points[k : k + 2]) for k in range(0, CURVE_POINTS, 2)]
            self._size *= 2

    def finish(self) -> None:
        """Make a point of the reports that are left over."""
        if self._group:
            self.points.append(_merge(self._group))
            self._group = []


def _merge(group: Sequence[Point]) -> Point:
    return {**group[-1], "loss": fmean(point["loss"] for point in group)}


@dataclass(frozen=True)
class Tenth:
    """Mean loss of a tenth of the budget with its standard error, None if a single point does not tell it."""

    mean: float
    error: float | None


def tenths(curves: Sequence[Sequence[Mapping[str, Any]]], budget: Budget) -> list[Tenth | None]:
    """Return the mean of each tenth of the budget, over trials of one version; None for a tenth without a point.

    The error is that of the mean over the points, which scatter by their batches, and over the seeds.
    """
    parts: list[list[float]] = [[] for _ in range(PARTS)]
    for share, loss in _shares(curves, budget):
        parts[min(PARTS - 1, max(0, int(PARTS * share)))].append(loss)
    return [_summarise(losses) if losses else None for losses in parts]


def _shares(curves: Sequence[Sequence[Mapping[str, Any]]], budget: Budget) -> Iterator[tuple[float, float]]:
    """Yield each point as the share of the budget that was used up, and its loss."""
    name = "step" if budget.unit == "steps" else "seconds"
    for point in (point for curve in curves for point in curve):
        at, loss = plausible(point.get(name)), plausible(point.get("loss"))
        if at is not None and loss is not None:
            yield at / budget.amount, loss


def _summarise(losses: Sequence[float]) -> Tenth:
    return Tenth(fmean(losses), stdev(losses) / len(losses) ** 0.5 if len(losses) > 1 else None)
