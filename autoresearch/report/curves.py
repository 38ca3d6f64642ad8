"""Draw curves on common axes as SVG: losses of trials, gains of sessions."""

from collections.abc import Sequence

from autoresearch.report.axes import HEIGHT, LEFT, LETTER_WIDTH, Scale, axes, line, svg, text
from autoresearch.report.blocks import Curve, Curves

STYLES = 4  # of lines; further ones look like the last


def draw(block: Curves) -> str:
    """Draw the curves that have two points or more; "" without any."""
    shown = [curve for curve in block.curves if len(curve.points) > 1]
    if not shown:
        return ""
    scale = _scale(shown)
    parts = [*axes(scale, block.across, block.up)]
    for k, curve in reversed(list(enumerate(shown))):
        points = _stairs(curve.points) if curve.steps else curve.points
        parts.append(line([(scale.x(x), scale.y(y)) for x, y in points], f"curve curve{min(k, STYLES - 1)}"))
    at = LEFT + 60.0
    for k, curve in enumerate(shown):
        parts.append(f'<path class="curve curve{min(k, STYLES - 1)}" d="M{at:.0f} 14h22"/>')
        parts.append(f'<text class="tick" x="{at + 28:.0f}" y="18">{text(curve.name)}</text>')
        at += 50 + LETTER_WIDTH * len(curve.name)
    return svg(HEIGHT, f"{block.up} of {', '.join(curve.name for curve in shown)}", parts)


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    corners = [points[0]]
    for x, y in points[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _scale(curves: Sequence[Curve]) -> Scale:
    """Return a scale without the few values far above the rest, with which losses begin."""
    values = sorted(y for curve in curves for _, y in curve.points)
    xs = [x for curve in curves for x, _ in curve.points]
    low, bulk = values[0], values[min(len(values) - 1, int(0.95 * len(values)))]
    high = min(values[-1], bulk + 0.5 * (bulk - low)) if bulk > low else values[-1]
    room = 0.05 * (high - low) or 0.01
    return Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, low - room, high + room)
