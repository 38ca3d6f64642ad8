"""Pictures of a session as SVG: its progress, and where the time went."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from autoresearch.report.axes import BOTTOM, HEIGHT, LEFT, LETTER, RIGHT, WIDTH, Scale, axes, line, svg, text
from autoresearch.report.blocks import Href, safe

Row = dict[str, Any]

TITLED = 1500  # dots with words of their own; more are drawn as one path
WORDS, SHORTEST = 36, 12  # letters of a label; where there is room for fewer, the number has to do
ASLANT, APART = 30, 12  # degrees of the labels, and how far they are from each other
LEGEND = (("keep", "keep"), ("near", "near miss"), ("dot", "discard"), ("lost", "failed"))


def progress(rows: Sequence[Row], sigma: float | None, href: Href) -> str:
    """Each experiment a dot, keeps labelled, the running best and around it the noise of one trial; "" without a base."""
    kept = scored_keeps(rows)
    if not kept:
        return ""
    noise = sigma or 0.0
    scale = bounds(rows, kept, noise)
    parts = [*axes(scale, "experiment", "val_bpb", whole=True), *_best(kept, scale, noise)]
    parts += [*_dots(rows, scale, href), *_keeps(kept, scale, href), *_legend()]
    first, best = (row["val_bpb"] for row in (kept[0], kept[-1]))
    label = f"Scores of {len(rows) - 1} experiments; the running best goes from {first:.4f} to {best:.4f}"
    return svg(HEIGHT, label, parts)


def scored_keeps(rows: Sequence[Row]) -> list[Row]:
    """The base and what was kept on it, as far as it has a score."""
    return [row for row in rows if row["verdict"] == "keep" and row["val_bpb"] is not None]


def bounds(rows: Sequence[Row], kept: Sequence[Row], noise: float) -> Scale:
    """What is far above the base would flatten everything else: it goes to the upper edge. Below is room for labels."""
    scores = [row["val_bpb"] for row in rows if row["val_bpb"] is not None]
    base, best = kept[0]["val_bpb"], min(row["val_bpb"] for row in kept)
    low = min(min(scores), best - 1.5 * noise)
    high = max(base + 2 * noise, min(max(scores), base + max(4 * noise, base - best)))
    room = 0.06 * (high - low) or 0.01
    return Scale(-0.5, max(row["n"] for row in rows) + 0.5, low - (3 if len(kept) > 1 else 1) * room, high + room)


def shares(parts: Sequence[tuple[str, float]]) -> str:
    """One bar, divided; the names are those of the table beside it."""
    whole = sum(value for _, value in parts) or 1.0
    found, at = [], 0.0
    for k, (name, value) in enumerate(parts):
        wide = WIDTH * value / whole
        found.append(
            f'<rect class="part{k}" x="{at:.1f}" y="0" width="{wide:.1f}" height="26">'
            f"<title>{text(name)}</title></rect>"
        )
        label = f"{name} {100 * value / whole:.0f} %"
        if wide > 7.5 * len(label) + 16:
            found.append(f'<text class="inside" x="{at + 8:.1f}" y="18">{text(label)}</text>')
        at += wide
    return svg(26, "Shares of the time", found, "bar")


# --- parts of the picture


def _best(kept: Sequence[Row], scale: Scale, noise: float) -> Iterator[str]:
    """The incumbent's score as a staircase, and one sigma on each side of it."""
    starts = [scale.x(row["n"]) for row in kept]
    steps = list(zip(starts, [*starts[1:], RIGHT], (row["val_bpb"] for row in kept), strict=True))
    for left, right, score in steps:
        top, bottom = scale.y(score + noise), scale.y(score - noise)
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        yield f'<rect class="band" x="{left:.1f}" y="{top:.1f}" {size}/>'
    yield line([(x, scale.y(score)) for left, right, score in steps for x in (left, right)], "best")


def _dots(rows: Sequence[Row], scale: Scale, href: Href) -> Iterator[str]:
    others = [row for row in rows if row["verdict"] not in ("keep", None)]
    if len(others) > TITLED:
        for kind in ("dot", "near", "lost"):
            path = " ".join(
                f"M{x:.1f} {y:.1f}h0" for row in others if kind_of(row) == kind for x, y in [_place(row, scale)]
            )
            yield f'<path class="many {kind}" d="{path}"/>'
        return
    for row in others:
        x, y = _place(row, scale)
        title = f"<title>{text(_told(row))}</title>"
        if kind_of(row) == "lost":
            dot = f'<path class="lost" d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6">{title}</path>'
        else:
            hollow = " hollow" if row["val_bpb"] > scale.high else ""
            dot = f'<circle class="{kind_of(row)}{hollow}" cx="{x:.1f}" cy="{y:.1f}" r="3.2">{title}</circle>'
        yield linked(row["n"], href, dot)


def _keeps(kept: Sequence[Row], scale: Scale, href: Href) -> Iterator[str]:
    for row, words in labels(kept, scale):
        x, y = scale.x(row["n"]), scale.y(row["val_bpb"])
        dot = f'<circle class="keep" cx="{x:.1f}" cy="{y:.1f}" r="5.5"><title>{text(_told(row))}</title></circle>'
        turned = f' transform="translate({x - 3:.1f} {y + 14:.1f}) rotate(-{ASLANT})" text-anchor="end"'
        place = turned if row["n"] > 0 else f' x="{x + 4:.1f}" y="{y - 10:.1f}"'
        yield linked(row["n"], href, dot + (f'<text class="label"{place}>{text(words)}</text>' if words else ""))


def labels(kept: Sequence[Row], scale: Scale) -> Iterator[tuple[Row, str]]:
    """Each keep with the words at its dot.

    They go aslant to the lower left, square to the staircase, where nothing else is, as far as there is room; the
    base's go above it. A keep so near to the last one that its words would lie on the other's has none.
    """
    slope, last = math.radians(ASLANT), -math.inf
    for row in kept:
        x, y = scale.x(row["n"]), scale.y(row["val_bpb"])
        room = int(min((x - LEFT) / math.cos(slope), (BOTTOM - 14 - y) / math.sin(slope), WORDS * LETTER) / LETTER)
        across = x * math.sin(slope) + y * math.cos(slope)
        number, hypothesis = f"{row['n']}", safe(row["hypothesis"] or "", max(room - 4, 4))
        words = "base" if row["n"] == 0 else f"{number}: {hypothesis}" if room >= SHORTEST else number
        if abs(across - last) >= APART:
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


def kind_of(row: Row) -> str:
    """How the dot of an experiment that was not kept looks."""
    return "lost" if row["val_bpb"] is None else "near" if row["near_miss"] else "dot"


def linked(n: int, href: Href, markup: str) -> str:
    """Markup that leads to an experiment, where there is more of it."""
    leads = href(n)
    return f'<a href="{text(leads)}">{markup}</a>' if leads else markup


def _place(row: Row, scale: Scale) -> tuple[float, float]:
    """Failures have no score: they lie on the lower edge."""
    return scale.x(row["n"]), BOTTOM - 5 if row["val_bpb"] is None else scale.y(row["val_bpb"])


def _told(row: Row) -> str:
    score = "" if row["val_bpb"] is None else f" {row['val_bpb']:.4f}"
    return f"{row['n']} {row['verdict']}{score}: {safe(row['hypothesis'] or '', 120)}"
