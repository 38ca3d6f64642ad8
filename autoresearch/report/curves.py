"""Curves side by side as SVG: losses over a trial, gains over a session."""

from collections.abc import Sequence
from dataclasses import dataclass

from autoresearch.report.axes import HEIGHT, LEFT, LETTER, Scale, axes, line, svg, text

KINDS = 4  # styles of lines; further ones look like the last


@dataclass(frozen=True)
class Curve:
    """One line with its name. `steps`: a value holds until the next one."""

    name: str
    points: Sequence[tuple[float, float]]
    steps: bool = False


def draw(curves: Sequence[Curve], across: str, up: str) -> str:
    """All of them on the same axes; "" if there are not two points. The first is what the picture is about."""
    shown = [curve for curve in curves if len(curve.points) > 1]
    if not shown:
        return ""
    scale = _scale(shown)
    parts = [*axes(scale, across, up)]
    for k, curve in reversed(list(enumerate(shown))):
        points = _stairs(curve.points) if curve.steps else curve.points
        parts.append(line([(scale.x(x), scale.y(y)) for x, y in points], f"curve curve{min(k, KINDS - 1)}"))
    at = LEFT + 60.0
    for k, curve in enumerate(shown):
        parts.append(f'<path class="curve curve{min(k, KINDS - 1)}" d="M{at:.0f} 14h22"/>')
        parts.append(f'<text class="tick" x="{at + 28:.0f}" y="18">{text(curve.name)}</text>')
        at += 50 + LETTER * len(curve.name)
    return svg(HEIGHT, f"{up} of {', '.join(curve.name for curve in shown)}", parts)


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    found = [points[0]]
    for x, y in points[1:]:
        found += [(x, found[-1][1]), (x, y)]
    return found


def _scale(curves: Sequence[Curve]) -> Scale:
    """A first value far above the rest, as losses begin, goes to the upper edge."""
    values = sorted(y for curve in curves for _, y in curve.points)
    places = [x for curve in curves for x, _ in curve.points]
    low, most = values[0], values[min(len(values) - 1, int(0.95 * len(values)))]
    high = min(values[-1], most + 0.5 * (most - low)) if most > low else values[-1]
    room = 0.05 * (high - low) or 0.01
    return Scale(min(places), max(places) if max(places) > min(places) else min(places) + 1, low - room, high + room)
