"""Draw the progress of a session and the shares of its time as SVG."""

import math
from collections.abc import Iterator, Sequence

from autoresearch.errors import require
from autoresearch.ledger.queries import ExperimentRow
from autoresearch.report.axes import BOTTOM, HEIGHT, LEFT, LETTER_WIDTH, RIGHT, WIDTH, Scale, axes, line, svg, text
from autoresearch.report.blocks import Href, safe

MAX_DOTS = 1500  # with a tooltip each; more are drawn as one path
LABEL_CHARS, MIN_LABEL_CHARS = 36, 12  # with room for fewer, the label is only a number
LABEL_DEGREES, LABEL_DISTANCE = 30, 12
LEGEND = (("keep", "keep"), ("near", "near miss"), ("dot", "discard"), ("lost", "failed"))


def progress(rows: Sequence[ExperimentRow], sigma: float | None, href: Href) -> str:
    """Draw dots, labels at keeps, the running best and its noise; "" without a base."""
    keeps = scored_keeps(rows)
    if not keeps:
        return ""
    noise = sigma or 0.0
    scale = bounds(rows, keeps, noise)
    parts = [*axes(scale, "experiment", "val_bpb", whole=True), *_best(keeps, scale, noise)]
    parts += [*_dots(rows, scale, href), *_keeps(keeps, scale, href), *_legend()]
    first, best = (require(row.val_bpb) for row in (keeps[0], keeps[-1]))
    number = sum(not row.unmeasured for row in rows) - 1
    label = f"Scores of {number} experiments; the running best goes from {first:.4f} to {best:.4f}"
    return svg(HEIGHT, label, parts)


def scored_keeps(rows: Sequence[ExperimentRow]) -> list[ExperimentRow]:
    """Return the keeps with a score, the base first."""
    return [row for row in rows if row.verdict == "keep" and row.val_bpb is not None]


def bounds(rows: Sequence[ExperimentRow], keeps: Sequence[ExperimentRow], noise: float) -> Scale:
    """Return a scale with room for labels, but without scores far above the base."""
    scores = [row.val_bpb for row in rows if row.val_bpb is not None]
    base, best = require(keeps[0].val_bpb), min(require(row.val_bpb) for row in keeps)
    low = min(min(scores), best - 1.5 * noise)
    high = max(base + 2 * noise, min(max(scores), base + max(4 * noise, base - best)))
    room = 0.06 * (high - low) or 0.01
    return Scale(-0.5, max(row.n for row in rows) + 0.5, low - (3 if len(keeps) > 1 else 1) * room, high + room)


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
    steps = list(zip(starts, [*starts[1:], RIGHT], (require(row.val_bpb) for row in keeps), strict=True))
    for left, right, score in steps:
        top, bottom = scale.y(score + noise), scale.y(score - noise)
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        yield f'<rect class="band" x="{left:.1f}" y="{top:.1f}" {size}/>'
    yield line([(x, scale.y(score)) for left, right, score in steps for x in (left, right)], "best")


def _dots(rows: Sequence[ExperimentRow], scale: Scale, href: Href) -> Iterator[str]:
    others = [row for row in rows if row.verdict not in ("keep", None) and not row.unmeasured]
    if len(others) > MAX_DOTS:
        for kind in ("dot", "near", "lost"):
            path = " ".join(
                f"M{x:.1f} {y:.1f}h0" for row in others if kind_of(row) == kind for x, y in [_position(row, scale)]
            )
            yield f'<path class="many {kind}" d="{path}"/>'
        return
    for row in others:
        x, y = _position(row, scale)
        title = f"<title>{text(_tooltip(row))}</title>"
        if kind_of(row) == "lost":
            dot = f'<path class="lost" d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6">{title}</path>'
        else:
            hollow = " hollow" if require(row.val_bpb) > scale.high else ""
            dot = f'<circle class="{kind_of(row)}{hollow}" cx="{x:.1f}" cy="{y:.1f}" r="3.2">{title}</circle>'
        yield link(row.n, href, dot)


def _keeps(keeps: Sequence[ExperimentRow], scale: Scale, href: Href) -> Iterator[str]:
    for row, words in labels(keeps, scale):
        x, y = scale.x(row.n), scale.y(require(row.val_bpb))
        dot = f'<circle class="keep" cx="{x:.1f}" cy="{y:.1f}" r="5.5"><title>{text(_tooltip(row))}</title></circle>'
        turned = f' transform="translate({x - 3:.1f} {y + 14:.1f}) rotate(-{LABEL_DEGREES})" text-anchor="end"'
        position = turned if row.n > 0 else f' x="{x + 4:.1f}" y="{y - 10:.1f}"'
        yield link(row.n, href, dot + (f'<text class="label"{position}>{text(words)}</text>' if words else ""))


def labels(keeps: Sequence[ExperimentRow], scale: Scale) -> Iterator[tuple[ExperimentRow, str]]:
    """Return each keep with its label.

    Labels run to the lower left, across the staircase, where nothing else is drawn; that of the base is above it. A
    keep has no label where it would overlap with the one before.
    """
    slope, last = math.radians(LABEL_DEGREES), -math.inf
    for row in keeps:
        x, y = scale.x(row.n), scale.y(require(row.val_bpb))
        width = min((x - LEFT) / math.cos(slope), (BOTTOM - 14 - y) / math.sin(slope), LABEL_CHARS * LETTER_WIDTH)
        room = int(width / LETTER_WIDTH)
        across = x * math.sin(slope) + y * math.cos(slope)
        number, hypothesis = f"{row.n}", safe(row.hypothesis or "", max(room - 4, 4))
        words = "base" if row.n == 0 else f"{number}: {hypothesis}" if room >= MIN_LABEL_CHARS else number
        if abs(across - last) >= LABEL_DISTANCE:
            last = across
            yield row, words
        else:
            yield row, ""


def _legend() -> Iterator[str]:
    x = LEFT + 60.0
    for kind, name in LEGEND:
        shape = f'<circle class="{kind}" cx="{x}" cy="14" r="4"/>'
        yield shape if kind != "lost" else f'<path class="lost" d="M{x - 3} 11l6 6m0 -6l-6 6"/>'
        yield f'<text class="tick" x="{x + 9}" y="18">{name}</text>'
        x += 34 + 7 * len(name)
    yield f'<path class="best" d="M{x} 14h22"/>'
    yield f'<text class="tick" x="{x + 28}" y="18">running best, with the noise of one trial</text>'


# --- small things


def kind_of(row: ExperimentRow) -> str:
    """Return the style of the dot of an experiment that was not kept; one that was never measured has no dot."""
    if row.unmeasured:
        return "unmeasured"
    return "lost" if row.val_bpb is None else "near" if row.near_miss else "dot"


def link(n: int, href: Href, markup: str) -> str:
    """Make markup a link to an experiment, where there is a page of it."""
    address = href(n)
    return f'<a href="{text(address)}">{markup}</a>' if address else markup


def _position(row: ExperimentRow, scale: Scale) -> tuple[float, float]:
    """Return the position of a dot: on the lower edge for failures, which have no score."""
    return scale.x(row.n), BOTTOM - 5 if row.val_bpb is None else scale.y(row.val_bpb)


def _tooltip(row: ExperimentRow) -> str:
    score = "" if row.val_bpb is None else f" {row.val_bpb:.4f}"
    return f"{row.n} {row.verdict}{score}: {safe(row.hypothesis or '', 120)}"
