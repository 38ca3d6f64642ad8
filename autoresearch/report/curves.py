"""Draw curves on common axes as SVG: losses of trials, gains of sessions."""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate

from autoresearch.report.axes import LETTER_WIDTH, MARK_WIDTH, WIDTH, LegendEntry, Scale, axes, both, legend, line, svg
from autoresearch.report.blocks import Curve, Curves, safe

STYLES = 6  # of lines; further ones look like the last
MIN_SMOOTH_POINTS, SMOOTH_SHARE, SMOOTH_PASSES = 8, 0.05, 2  # share of the points on each side of a mean


def draw(block: Curves) -> str:
    """Draw `picture` for pages and for phones; "" without a curve of two points."""
    return both(partial(picture, block))


def picture(block: Curves, width: float = WIDTH) -> str:
    """Draw the curves that have two points or more: smoothed, and thin as they are; steps only as they are."""
    shown = [curve for curve in block.curves if len(curve.points) > 1]
    if not shown:
        return ""
    scale = _scale(shown, width)
    parts = [*axes(scale, block.across, block.up, whole=all(curve.steps for curve in shown))]
    for k, curve in reversed(list(enumerate(shown))):
        points = _stairs(curve.points) if curve.steps else curve.points
        if (smoothed := smooth(curve)) is not None:
            parts.append(_line(points, scale, f"raw {style(k)}"))
        parts.append(_line(smoothed or points, scale, style(k)))
    room = int((width - MARK_WIDTH) / LETTER_WIDTH)
    names = [safe(curve.name, room) for curve in shown]
    entries, height = legend([LegendEntry(name, partial(_mark, k)) for k, name in enumerate(names)], scale)
    return svg(height, f"{block.up} of {', '.join(curve.name for curve in shown)}", [*parts, *entries], width=width)


def style(k: int) -> str:
    """Return the style of the curve number `k`."""
    return f"curve{min(k, STYLES - 1)}"


def smooth(curve: Curve) -> list[tuple[float, float]] | None:
    """Return the means of neighbouring points; None for steps, or with few points.

    Near the start a mean takes as many points before as after, because losses fall fast there. Near the end it takes
    those that there are.
    """
    xs, ys = [x for x, _ in curve.points], [y for _, y in curve.points]
    if curve.steps or len(ys) < MIN_SMOOTH_POINTS:
        return None
    reach = max(2, round(SMOOTH_SHARE * len(ys)))
    for _ in range(SMOOTH_PASSES):
        sums = [0.0, *accumulate(ys)]
        ends = [(k - min(k, reach), min(len(ys), k + min(k, reach) + 1)) for k in range(len(ys))]
        ys = [(sums[high] - sums[low]) / (high - low) for low, high in ends]
    return list(zip(xs, ys, strict=True))


def _line(points: Sequence[tuple[float, float]], scale: Scale, kind: str) -> str:
    return line([(scale.x(x), scale.y(y)) for x, y in points], f"curve {kind}")


def _mark(k: int, x: float, y: float) -> str:
    return f'<path class="curve {style(k)}" d="M{x:.0f} {y:g}h{MARK_WIDTH - 6}"/>'


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    corners = [points[0]]
    for x, y in points[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return corners


def _scale(curves: Sequence[Curve], width: float) -> Scale:
    """Return a scale without the few values far above the rest, with which losses begin."""
    values = sorted(y for curve in curves for _, y in curve.points)
    xs = [x for curve in curves for x, _ in curve.points]
    low, bulk = values[0], values[min(len(values) - 1, int(0.95 * len(values)))]
    high = min(values[-1], bulk + 0.5 * (bulk - low)) if bulk > low else values[-1]
    room = 0.05 * (high - low) or 0.01
    return Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, low - room, high + room, width)
