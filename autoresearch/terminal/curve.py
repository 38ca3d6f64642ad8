"""Draw curves with characters: a line of bars, and a chart of braille dots."""

from collections.abc import Sequence
from itertools import pairwise
from statistics import fmean

from rich.text import Text

BARS = "▁▂▃▄▅▆▇█"
BRAILLE = 0x2800
DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits of a braille character: [row][column]
POINT = "·"  # of the other curve
STEEP_SHARE = 0.1  # of the curve, at its beginning, that does not set the scale

Points = Sequence[tuple[float, float]]


def sparkline(values: Sequence[float], width: int) -> str:
    """Return values as a line of at most `width` bars, each a mean; empty for fewer than two."""
    if len(values) < 2 or width < 1:
        return ""
    count = min(width, len(values))
    means = [fmean(values[k * len(values) // count : (k + 1) * len(values) // count]) for k in range(count)]
    low, high = min(means), max(means)
    return "".join(BARS[round((len(BARS) - 1) * (mean - low) / ((high - low) or 1))] for mean in means)


def chart(own: Points, other: Points, width: int, height: int) -> list[Text]:
    """Return the lines of a chart: a curve in dots over `other` in points, and the scale.

    The steep beginning is cut off, so that the end stays visible. Empty if there is nothing to draw.
    """
    if len(own) < 2 or width < 2:
        return []
    end = max(x for x, _ in (*own, *other)) or 1.0
    shown = [y for x, y in (*own, *other) if x >= STEEP_SHARE * end] or [y for _, y in own]
    low, high = min(shown), max(shown)
    rows, spread = height * len(DOTS) - 1, (high - low) or 1.0

    def heights(points: Points) -> list[int | None]:
        ys = [_interpolate(points, end * k / (2 * width - 1)) for k in range(2 * width)]
        return [None if y is None else round(rows * ((high - min(max(y, low), high)) / spread)) for y in ys]

    front, back = _dots(heights(own)), {(row // len(DOTS), column // 2) for row, column in _path(heights(other))}
    labels = {0: f"{high:.3f}", height - 1: f"{low:.3f}"}
    return [_line(labels.get(row, ""), row, width, front, back) for row in range(height)]


def _line(label: str, row: int, width: int, front: dict[tuple[int, int], int], back: set[tuple[int, int]]) -> Text:
    line = Text(f"{label:>7} ", "dim")
    for column in range(width):
        at = (row, column)
        if at in front:
            line.append(chr(BRAILLE + front[at]), "cyan")
        else:
            line.append(POINT if at in back else " ", "dim")
    line.rstrip()
    return line


def _dots(heights: Sequence[int | None]) -> dict[tuple[int, int], int]:
    """Return the bits of the characters that a path passes."""
    cells: dict[tuple[int, int], int] = {}
    for row, column in _path(heights):
        at = (row // len(DOTS), column // 2)
        cells[at] = cells.get(at, 0) | DOTS[row % len(DOTS)][column % 2]
    return cells


def _path(heights: Sequence[int | None]) -> set[tuple[int, int]]:
    """Return the dots (row, column) of a line without gaps through one height for each column."""
    dots = {(row, column) for column, row in enumerate(heights) if row is not None}
    for column, (before, here) in enumerate(pairwise(heights), 1):
        if before is not None and here is not None:
            step = 1 if here > before else -1
            dots |= {(row, column) for row in range(before + step, here, step)}
    return dots


def _interpolate(points: Points, x: float) -> float | None:
    """Return the value of a curve at `x`; None beyond its ends."""
    if not points or not points[0][0] <= x <= points[-1][0]:
        return None
    for (left, low), (right, high) in pairwise(points):
        if x <= right:
            return low + (high - low) * ((x - left) / (right - left) if right > left else 1.0)
    return points[-1][1]
