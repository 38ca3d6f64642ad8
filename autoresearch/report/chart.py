"""Draw the progress of a session and the shares of its time as SVG."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from autoresearch.errors import require
from autoresearch.ledger.queries import ExperimentRow
from autoresearch.report.axes import (
    BOTTOM,
    LEFT,
    LETTER_WIDTH,
    MARK_WIDTH,
    NARROW_WIDTH,
    WIDTH,
    LegendEntry,
    Scale,
    axes,
    both,
    legend,
    line,
    svg,
    text,
)
from autoresearch.report.blocks import Href, safe

MAX_DOTS = 1500  # with a tooltip each; more are drawn as one path
LABEL_CHARS = 48  # a keep whose hypothesis is longer has only its number
LABEL_DEGREES, LABEL_DISTANCE = 30, 12
DIGIT_WIDTH = 8
MARKS_HEIGHT = 22  # of what has no score, above the lower edge
PLACES = {  # of labels at keeps: pixels to the right and down, degrees upwards, side that is at the keep
    "slanted": (-3, 14, LABEL_DEGREES, "end"),
    "below": (-3, 16, 0, "end"),
    "above": (4, -10, 0, "start"),
}
DOTS = {"near": "near miss", "dot": "discard", "lost": "failed"}
SHAPES = {"lost": "m-3 -3l6 6m0 -6l-6 6"}  # of those without a score
BEST = "running best, with the noise of one trial"


@dataclass(frozen=True)
class Label:
    """Words at a keep, perhaps none, at a place that `PLACES` has."""

    row: ExperimentRow
    words: str
    place: str


def progress(rows: Sequence[ExperimentRow], sigma: float | None, href: Href) -> str:
    """Draw `picture` for pages and for phones; "" without a base."""
    return both(partial(picture, rows, sigma, href))


def picture(rows: Sequence[ExperimentRow], sigma: float | None, href: Href, width: float = WIDTH) -> str:
    """Draw dots, labels at keeps, the running best and its noise; "" without a base."""
    keeps = scored_keeps(rows)
    if not keeps:
        return ""
    noise = sigma or 0.0
    scale = bounds(rows, keeps, noise, width)
    entries, height = legend(list(_entries(rows, width)), scale)
    parts = [*axes(scale, "experiment", keeps[0].metric.axis, whole=True), *_best(keeps, scale, noise)]
    parts += [*_dots(rows, scale, href), *_keeps(keeps, scale, href), *entries]
    number = sum(not row.unmeasured for row in rows) - 1
    first, best = (row.metric.score(require(row.val_bpb)) for row in (keeps[0], keeps[-1]))
    label = f"Scores of {number} experiments; the running best goes from {first} to {best}"
    return svg(height, label, parts, width=width)


def scored_keeps(rows: Sequence[ExperimentRow]) -> list[ExperimentRow]:
    """Return the keeps with a score, the base first."""
    return [row for row in rows if row.verdict == "keep" and row.val_bpb is not None]


def bounds(rows: Sequence[ExperimentRow], keeps: Sequence[ExperimentRow], noise: float, width: float = WIDTH) -> Scale:
    """Return a scale with room for labels, but without scores far worse than the base."""
    metric = keeps[0].metric  # where higher is better, the same is done upside down
    scores = [metric.sign(row.val_bpb) for row in rows if row.val_bpb is not None]
    base, best = metric.sign(require(keeps[0].val_bpb)), min(metric.sign(require(row.val_bpb)) for row in keeps)
    noise = abs(metric.band(require(keeps[0].val_bpb), noise)[1] - require(keeps[0].val_bpb))
    low = min(min(scores), best - 1.5 * noise)
    high = max(base + 2 * noise, min(max(scores), base + max(4 * noise, base - best)))
    low, high = sorted((metric.sign(low), metric.sign(high)))
    room = 0.06 * (high - low) or 0.01
    bottom = low - (3 if len(keeps) > 1 else 1) * room
    return Scale(-0.5, max(row.n for row in rows) + 0.5, bottom, high + room, width)


def shares(parts: Sequence[tuple[str, float]]) -> str:
    """Draw one bar, divided into shares."""
    whole = sum(value for _, value in parts) or 1.0
    marks, at = [], 0.0
    for k, (name, value) in enumerate(parts):
        wide = WIDTH * value / whole
        marks.append(
            f'<rect class="part{k}" x="{at:.1f}" y="0" width="{wide:.1f}" height="26">'
            f"<title>{text(name)}</title></rect>"
        )
        label = f"{name} {100 * value / whole:.0f} %"
        if wide > 7.5 * len(label) + 16:
            marks.append(f'<text class="inside" x="{at + 8:.1f}" y="18">{text(label)}</text>')
        at += wide
    return svg(26, "Shares of the time", marks, "bar")


# --- parts of the picture


def _best(keeps: Sequence[ExperimentRow], scale: Scale, noise: float) -> Iterator[str]:
    """Draw the incumbent's score as a staircase, and one sigma on each side of it."""
    starts = [scale.x(row.n) for row in keeps]
    steps = list(zip(starts, [*starts[1:], scale.right], (require(row.val_bpb) for row in keeps), strict=True))
    for left, right, score in steps:
        bottom, top = map(scale.y, keeps[0].metric.band(score, noise))
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        yield f'<rect class="band" x="{left:.1f}" y="{top:.1f}" {size}/>'
    yield line([(x, scale.y(score)) for left, right, score in steps for x in (left, right)], "best")


def _dots(rows: Sequence[ExperimentRow], scale: Scale, href: Href) -> Iterator[str]:
    others = discards(rows)
    if len(others) > MAX_DOTS or scale.width == NARROW_WIDTH:
        for kind in DOTS:
            path = " ".join(
                f"M{x:.1f} {y:.1f}{SHAPES.get(kind, 'h0')}"
                for row in others
                if kind_of(row) == kind
                for x, y in [_position(row, scale)]
            )
            yield f'<path class="{kind if kind in SHAPES else f"many {kind}"}" d="{path}"/>' if path else ""
        return
    for row in others:
        x, y = _position(row, scale)
        title, kind = f"<title>{text(_tooltip(row))}</title>", kind_of(row)
        if kind in SHAPES:
            dot = f'<path class="{kind}" d="M{x:.1f} {y:.1f}{SHAPES[kind]}">{title}</path>'
        else:
            hollow = " hollow" if row.stopped or require(row.val_bpb) != height(row, scale) else ""
            dot = f'<circle class="{kind}{hollow}" cx="{x:.1f}" cy="{y:.1f}" r="3.2">{title}</circle>'
        yield link(row.n, href, dot)


def _keeps(keeps: Sequence[ExperimentRow], scale: Scale, href: Href) -> Iterator[str]:
    for label in labels(keeps, scale):
        x, y = scale.x(label.row.n), scale.y(require(label.row.val_bpb))
        title = f"<title>{text(_tooltip(label.row))}</title>"
        dot = f'<circle class="keep" cx="{x:.1f}" cy="{y:.1f}" r="5.5">{title}</circle>'
        across, down, turn, anchor = PLACES[label.place]
        turned = f" rotate(-{turn})" if turn else ""
        position = f'transform="translate({x + across:.1f} {y + down:.1f}){turned}" text-anchor="{anchor}"'
        words = f'<text class="label" {position}>{text(label.words)}</text>' if label.words else ""
        yield link(label.row.n, href, dot + words)


def labels(keeps: Sequence[ExperimentRow], scale: Scale) -> Iterator[Label]:
    """Return the label of each keep: number and whole hypothesis, else the number, else nothing.

    Slanted labels run to the lower left, across the staircase, where nothing else is drawn; so do numbers, or they
    stand above it. No label overlaps with the one before.
    """
    placed: dict[str, tuple[float, float]] = {}
    for row in keeps:
        x, y = scale.x(row.n), scale.y(require(row.val_bpb))
        words, number = f"{row.n}: {safe(row.hypothesis or '', LABEL_CHARS + 1)}", str(row.n)
        if row.n == 0:
            label = Label(row, "base", "above")
        elif _has_room(words, scale, x, y) and all(_are_apart(x, y, *other) for other in placed.values()):
            label = Label(row, words, "slanted")
        else:
            below = _is_free(x, y, number, placed, "below") and (
                "slanted" not in placed or _are_apart(x, y, *placed["slanted"])
            )
            above = _is_free(x, y, number, placed, "above")
            label = Label(row, number if below or above else "", "below" if below else "above")
        if label.words:
            placed[label.place] = (x, y)
        yield label


def _has_room(words: str, scale: Scale, x: float, y: float) -> bool:
    """Return whether a whole slanted label fits between a point and the axes."""
    slope = math.radians(LABEL_DEGREES)
    room = min((x - LEFT) / math.cos(slope), (BOTTOM - MARKS_HEIGHT - y) / math.sin(slope)) / LETTER_WIDTH
    return scale.width > NARROW_WIDTH and len(words) <= min(room, LABEL_CHARS)


def _are_apart(x: float, y: float, other_x: float, other_y: float) -> bool:
    """Return whether slanted lines through two points have room for letters between them."""
    slope = math.radians(LABEL_DEGREES)
    return abs((x - other_x) * math.sin(slope) + (y - other_y) * math.cos(slope)) >= LABEL_DISTANCE


def _is_free(x: float, y: float, number: str, placed: Mapping[str, tuple[float, float]], place: str) -> bool:
    """Return whether a number does not overlap with the last one at the same place."""
    if place not in placed:
        return True
    other_x, other_y = placed[place]
    return x - other_x > DIGIT_WIDTH * len(number) + 4 or abs(y - other_y) >= LABEL_DISTANCE


def _entries(rows: Sequence[ExperimentRow], width: float) -> Iterator[LegendEntry]:
    """Return the legend, without kinds of dots that are not in the picture."""
    yield LegendEntry("keep", lambda x, y: f'<circle class="keep" cx="{x + 5}" cy="{y}" r="5.5"/>', 15)
    words = BEST if width > NARROW_WIDTH else BEST.partition(",")[0]
    yield LegendEntry(words, lambda x, y: f'<path class="best" d="M{x} {y}h{MARK_WIDTH - 6}"/>')
    found = {kind_of(row) for row in discards(rows)}
    for kind, name in DOTS.items():
        if kind in found:
            yield LegendEntry(name, partial(_mark, kind), 12)


def _mark(kind: str, x: float, y: float) -> str:
    if kind in SHAPES:
        return f'<path class="{kind}" d="M{x + 4} {y}{SHAPES[kind]}"/>'
    return f'<circle class="{kind}" cx="{x + 4}" cy="{y}" r="3.6"/>'


# --- small things


def discards(rows: Sequence[ExperimentRow]) -> list[ExperimentRow]:
    """Return the experiments that have a dot and were not kept; those that were never measured have none."""
    return [row for row in rows if row.verdict not in ("keep", None) and not row.unmeasured]


def kind_of(row: ExperimentRow) -> str:
    """Return the style of the dot of an experiment that was not kept."""
    if row.unmeasured or row.stopped:  # the former of a version in the tree on which others were built
        return "dot"
    return "lost" if row.val_bpb is None else "near" if row.near_miss else "dot"


def height(row: ExperimentRow, scale: Scale) -> float:
    """Return the score within the scale: at its worse end for one that was stopped early, at its foot without one."""
    worst, nearer = (scale.low, max) if row.metric.goal == "max" else (scale.high, min)
    return worst if row.stopped else scale.low if row.val_bpb is None else nearer(row.val_bpb, worst)


def link(n: int, href: Href, markup: str) -> str:
    """Make markup a link to an experiment, where there is a page of it."""
    address = href(n)
    return f'<a href="{text(address)}">{markup}</a>' if address else markup


def _position(row: ExperimentRow, scale: Scale) -> tuple[float, float]:
    """Return the position of a dot: on the lower edge without a score."""
    return scale.x(row.n), BOTTOM - 5 if kind_of(row) == "lost" else scale.y(height(row, scale))


def _tooltip(row: ExperimentRow) -> str:
    score = "" if row.val_bpb is None else f" {row.metric.score(row.val_bpb)}"
    return f"{row.n} {row.verdict}{score}: {safe(row.hypothesis or '', 120)}"
