"""Draw the progress of a session and the shares of its time as SVG."""

import math
from collections.abc import Iterator, Sequence
from functools import partial

from autoresearch.errors import require
from autoresearch.ledger.queries import ExperimentRow
from autoresearch.ledger.rows import UNSCORED
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
DOTS = {"near": "near miss", "dot": "discard", "lost": "failed", "unmeasured": "not measured"}
SHAPES = {"lost": "m-3 -3l6 6m0 -6l-6 6", "unmeasured": "m0 -4v8"}  # of those without a score
BEST = "running best, with the noise of one trial"


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
    parts = [*axes(scale, "experiment", "val_bpb, lower is better", whole=True), *_best(keeps, scale, noise)]
    parts += [*_dots(rows, scale, href), *_keeps(keeps, scale, href), *entries]
    first, best = (require(row.val_bpb) for row in (keeps[0], keeps[-1]))
    label = f"Scores of {len(rows) - 1} experiments; the running best goes from {first:.4f} to {best:.4f}"
    return svg(height, label, parts, width=width)


def scored_keeps(rows: Sequence[ExperimentRow]) -> list[ExperimentRow]:
    """Return the keeps with a score, the base first."""
    return [row for row in rows if row.verdict == "keep" and row.val_bpb is not None]


def bounds(rows: Sequence[ExperimentRow], keeps: Sequence[ExperimentRow], noise: float, width: float = WIDTH) -> Scale:
    """Return a scale with room for labels, but without scores far above the base."""
    scores = [row.val_bpb for row in rows if row.val_bpb is not None]
    base, best = require(keeps[0].val_bpb), min(require(row.val_bpb) for row in keeps)
    low = min(min(scores), best - 1.5 * noise)
    high = max(base + 2 * noise, min(max(scores), base + max(4 * noise, base - best)))
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
        top, bottom = scale.y(score + noise), scale.y(score - noise)
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        yield f'<rect class="band" x="{left:.1f}" y="{top:.1f}" {size}/>'
    yield line([(x, scale.y(score)) for left, right, score in steps for x in (left, right)], "best")


def _dots(rows: Sequence[ExperimentRow], scale: Scale, href: Href) -> Iterator[str]:
    others = [row for row in rows if row.verdict not in ("keep", None)]
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
            hollow = " hollow" if require(row.val_bpb) > scale.high else ""
            dot = f'<circle class="{kind}{hollow}" cx="{x:.1f}" cy="{y:.1f}" r="3.2">{title}</circle>'
        yield link(row.n, href, dot)


def _keeps(keeps: Sequence[ExperimentRow], scale: Scale, href: Href) -> Iterator[str]:
    for row, words in labels(keeps, scale):
        x, y = scale.x(row.n), scale.y(require(row.val_bpb))
        title = f"<title>{text(_tooltip(row))}</title>"
        dot = f'<circle class="keep" cx="{x:.1f}" cy="{y:.1f}" r="5.5">{title}</circle>'
        yield link(
            row.n, href, dot + (f'<text class="label"{_place(row, words, x, y)}>{text(words)}</text>' * bool(words))
        )


def _place(row: ExperimentRow, words: str, x: float, y: float) -> str:
    """Return the position of a label as attributes."""
    if row.n == 0:
        return f' x="{x + 4:.1f}" y="{y - 10:.1f}"'
    turn = "" if words == str(row.n) else f" rotate(-{LABEL_DEGREES})"
    return f' transform="translate({x - 3:.1f} {y + (16 if not turn else 14):.1f}){turn}" text-anchor="end"'


def labels(keeps: Sequence[ExperimentRow], scale: Scale) -> Iterator[tuple[ExperimentRow, str]]:
    """Return each keep with its label: number and whole hypothesis, else the number, else nothing.

    Labels run to the lower left, across the staircase, where nothing else is drawn; that of the base is above it. No
    label overlaps with the one before.
    """
    slope = math.radians(LABEL_DEGREES)
    before, slanted = (-math.inf, -math.inf), False
    for row in keeps:
        x, y = scale.x(row.n), scale.y(require(row.val_bpb))
        across = x * math.sin(slope) + y * math.cos(slope)
        distance = abs(across - before[0] * math.sin(slope) - before[1] * math.cos(slope))
        room = min((x - LEFT) / math.cos(slope), (BOTTOM - 14 - y) / math.sin(slope)) / LETTER_WIDTH
        words, number = f"{row.n}: {safe(row.hypothesis or '', LABEL_CHARS + 1)}", str(row.n)
        beside = x - before[0] > DIGIT_WIDTH * len(number) + 4 or abs(y - before[1]) >= LABEL_DISTANCE
        if row.n == 0:
            words = "base"
        elif distance < LABEL_DISTANCE or len(words) > min(room, LABEL_CHARS) or scale.width == NARROW_WIDTH:
            words = number if (distance >= LABEL_DISTANCE if slanted else beside) else ""
        if words:
            before, slanted = (x, y), words not in ("base", number)
        yield row, words


def _entries(rows: Sequence[ExperimentRow], width: float) -> Iterator[LegendEntry]:
    """Return the legend, without kinds of dots that are not in the picture."""
    yield LegendEntry("keep", lambda x, y: f'<circle class="keep" cx="{x + 5}" cy="{y}" r="5.5"/>', 15)
    words = BEST if width > NARROW_WIDTH else BEST.partition(",")[0]
    yield LegendEntry(words, lambda x, y: f'<path class="best" d="M{x} {y}h{MARK_WIDTH - 6}"/>')
    found = {kind_of(row) for row in rows if row.verdict not in ("keep", None)}
    for kind, name in DOTS.items():
        if kind in found:
            yield LegendEntry(name, partial(_mark, kind), 12)


def _mark(kind: str, x: float, y: float) -> str:
    if kind in SHAPES:
        return f'<path class="{kind}" d="M{x + 4} {y}{SHAPES[kind]}"/>'
    return f'<circle class="{kind}" cx="{x + 4}" cy="{y}" r="3.6"/>'


# --- small things


def kind_of(row: ExperimentRow) -> str:
    """Return the style of the dot of an experiment that was not kept."""
    if row.val_bpb is None:
        return "lost" if row.verdict in UNSCORED else "unmeasured"
    return "near" if row.near_miss else "dot"


def link(n: int, href: Href, markup: str) -> str:
    """Make markup a link to an experiment, where there is a page of it."""
    address = href(n)
    return f'<a href="{text(address)}">{markup}</a>' if address else markup


def _position(row: ExperimentRow, scale: Scale) -> tuple[float, float]:
    """Return the position of a dot: on the lower edge without a score."""
    return scale.x(row.n), BOTTOM - 5 if row.val_bpb is None else scale.y(row.val_bpb)


def _tooltip(row: ExperimentRow) -> str:
    score = "" if row.val_bpb is None else f" {row.val_bpb:.4f}"
    return f"{row.n} {row.verdict}{score}: {safe(row.hypothesis or '', 120)}"
