"""SVG with axes, the base of every picture. Colours come from the style sheet of the page."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from autoresearch.report.blocks import safe

WIDTH, HEIGHT = 880, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 864, 34, 340
LETTER_WIDTH = 6.8  # of most letters at most


@dataclass(frozen=True)
class Scale:
    """Map `first` to `last` from left to right, and `low` to `high` upwards."""

    first: float
    last: float
    low: float
    high: float

    def x(self, value: float) -> float:
        return LEFT + (RIGHT - LEFT) * (value - self.first) / (self.last - self.first)

    def y(self, value: float) -> float:
        """Return the distance from the top; values outside of the scale are put on its edge."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return BOTTOM - (BOTTOM - TOP) * share


def axes(scale: Scale, across: str, up: str, whole: bool = False) -> Iterator[str]:
    """Draw grid lines and numbers; with `whole` only whole numbers on the horizontal axis."""
    digits = max(2, 2 - math.floor(math.log10(scale.high - scale.low)))
    for value in ticks(scale.low, scale.high):
        y = scale.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:.{digits}f}</text>'
    for value in ticks(scale.first, scale.last):
        if not whole or value == int(value):
            yield f'<text class="tick" x="{scale.x(value):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{value:g}</text>'
    yield f'<text class="tick" x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 36}" text-anchor="middle">{text(across)}</text>'
    yield f'<text class="tick" x="{LEFT - 56}" y="{TOP - 16}">{text(up)}</text>'


def ticks(low: float, high: float) -> list[float]:
    """Return four to eight round numbers."""
    span = max(high - low, 1e-9)
    size = 10.0 ** math.floor(math.log10(span / 4))
    step = next(each for each in (size, 2 * size, 5 * size, 10 * size) if span / each <= 8)
    first = math.ceil(low / step)
    return [round(k * step, 12) for k in range(first, math.floor(high / step) + 1)]


def line(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Draw straight lines from point to point, in positions on the picture."""
    return f'<path class="{kind}" d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>' if points else ""


def text(words: str) -> str:
    """Clean and escape a text; all text on pictures comes through here."""
    return escape(safe(words))


def svg(height: float, label: str, parts: Sequence[str], kind: str = "chart") -> str:
    """Put the parts into an SVG; `label` describes it for screen readers."""
    box = f'viewBox="0 0 {WIDTH} {height:g}"'
    return f'<svg class="{kind}" {box} role="img" aria-label="{text(label)}">{"".join(parts)}</svg>'
