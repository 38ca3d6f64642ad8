"""SVG with axes, the base of every picture. Colours come from the style sheet of the page."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from autoresearch.report.blocks import safe

WIDTH, NARROW_WIDTH = 880, 360  # of a page, of a phone
LEFT, MARGIN, TOP, BOTTOM = 56, 16, 28, 334
LEGEND_TOP, LEGEND_ROW = BOTTOM + 58, 20
LETTER_WIDTH = 6.8  # of most letters at most
MARK_WIDTH, GAP = 28, 20  # of a line in a legend, between its entries


@dataclass(frozen=True)
class Scale:
    """Map `first` to `last` from left to right, and `low` to `high` upwards, in a picture of some width."""

    first: float
    last: float
    low: float
    high: float
    width: float = WIDTH

    @property
    def right(self) -> float:
        return self.width - MARGIN

    def x(self, value: float) -> float:
        return LEFT + (self.right - LEFT) * (value - self.first) / (self.last - self.first)

    def y(self, value: float) -> float:
        """Return the distance from the top; values outside of the scale are put on its edge."""
        share = (min(max(value, self.low), self.high) - self.low) / ((self.high - self.low) or 1.0)
        return BOTTOM - (BOTTOM - TOP) * share


@dataclass(frozen=True)
class LegendEntry:
    """A name in a legend; `mark` draws its mark from a position on."""

    name: str
    mark: Callable[[float, float], str]
    width: float = MARK_WIDTH


def axes(scale: Scale, across: str, up: str, whole: bool = False) -> Iterator[str]:
    """Draw grid lines and numbers; with `whole` only whole numbers on the horizontal axis."""
    heights = ticks(scale.low, scale.high)
    for value, words in zip(heights, tick_words(heights), strict=True):
        y = scale.y(value)
        yield f'<line class="grid" x1="{LEFT}" x2="{scale.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{words}</text>'
    for value in ticks(scale.first, scale.last, whole):
        yield f'<text class="tick" x="{scale.x(value):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{value:g}</text>'
    middle = (LEFT + scale.right) / 2
    yield f'<text class="tick" x="{middle}" y="{BOTTOM + 36}" text-anchor="middle">{text(across)}</text>'
    yield f'<text class="tick" x="4" y="{TOP - 14}">{text(up)}</text>'


def legend(entries: Sequence[LegendEntry], scale: Scale) -> tuple[list[str], float]:
    """Draw a legend under the axes, in as many rows as it needs; return also the height of the picture."""
    parts, x, y = [], float(LEFT), float(LEGEND_TOP)
    for entry in entries:
        wide = entry.width + LETTER_WIDTH * len(entry.name)
        if x > LEFT and x + wide > scale.width:
            x, y = LEFT, y + LEGEND_ROW
        parts += [entry.mark(x, y), f'<text class="tick" x="{x + entry.width}" y="{y + 4}">{text(entry.name)}</text>']
        x += wide + GAP
    return parts, y + 14


def ticks(low: float, high: float, whole: bool = False) -> list[float]:
    """Return round numbers, at most eight; at least four, unless they are to be whole."""
    span = max(high - low, 1e-9)
    size = 10.0 ** math.floor(math.log10(span / 4))
    steps = (size, 2 * size, 5 * size, 10 * size, 20 * size)
    step = next((each for each in steps if span / each <= 8 and (not whole or each >= 1)), 1.0)
    first = math.ceil(low / step)
    return [round(k * step, 12) for k in range(first, math.floor(high / step) + 1)]


def tick_words(values: Sequence[float]) -> list[str]:
    """Write numbers with the digits that all of them need."""
    digits = max((len(f"{value:.10f}".rstrip("0").partition(".")[2]) for value in values), default=0)
    return [f"{value:.{digits}f}" for value in values]


def line(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Draw straight lines from point to point, in positions on the picture."""
    return f'<path class="{kind}" d="M{" L".join(f"{x:.1f} {y:.1f}" for x, y in points)}"/>' if points else ""


def text(words: str) -> str:
    """Clean and escape a text; all text on pictures comes through here."""
    return escape(safe(words))


def both(draw: Callable[[float], str]) -> str:
    """Draw a picture for pages and one for phones; the style sheet shows one of them."""
    return draw(WIDTH) + draw(NARROW_WIDTH)


def svg(height: float, label: str, parts: Sequence[str], kind: str = "chart", width: float = WIDTH) -> str:
    """Put the parts into an SVG; `label` describes it for screen readers."""
    box = f'viewBox="0 0 {width:g} {height:g}"'
    kind += " narrow" if width == NARROW_WIDTH else ""
    return f'<svg class="{kind}" {box} role="img" aria-label="{text(label)}">{"".join(parts)}</svg>'
