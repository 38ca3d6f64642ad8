"""Pictures of a session as SVG, drawn by hand: colours come from the page's style sheet, words are escaped here."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from autoresearch.views.blocks import safe

Row = dict[str, Any]

WIDTH, HEIGHT = 880, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 864, 34, 340
TITLED = 1500  # dots with words of their own; more are drawn as one path
NAMED = 8  # keeps that are labelled with words, not only with their number
LEGEND = (("keep", "keep"), ("near", "near miss"), ("dot", "discard"), ("lost", "failed"))


@dataclass(frozen=True)
class Scale:
    """From experiments and bits per byte to places on the picture."""

    last: int
    low: float
    high: float

    def x(self, n: float) -> float:
        """The place of experiment n."""
        return LEFT + (RIGHT - LEFT) * (n + 0.5) / (self.last + 1)

    def y(self, score: float) -> float:
        """The place of a score; what lies outside is put on the edge."""
        share = (min(max(score, self.low), self.high) - self.low) / (self.high - self.low)
        return BOTTOM - (BOTTOM - TOP) * share


def progress(rows: Sequence[Row], sigma: float | None) -> str:
    """Each experiment a dot, keeps labelled, the running best, and around it the noise of one trial."""
    kept = [row for row in rows if row["verdict"] == "keep" and row["val_bpb"] is not None]
    if not kept:
        return ""
    scale = _scale(rows, kept, sigma or 0.0)
    parts = [*_axes(scale), *_best(kept, scale, sigma or 0.0), *_dots(rows, scale), *_keeps(kept, scale), *_legend()]
    label = f"Scores of {len(rows) - 1} experiments; the running best goes from {kept[0]['val_bpb']:.4f} to {kept[-1]['val_bpb']:.4f}"
    return _svg(HEIGHT, label, parts)


def shares(parts: Sequence[tuple[str, float]]) -> str:
    """One bar, divided; the names are those of the table beside it."""
    whole = sum(value for _, value in parts) or 1.0
    found, at = [], 0.0
    for k, (name, value) in enumerate(parts):
        wide = WIDTH * value / whole
        found.append(f'<rect class="part{k}" x="{at:.1f}" y="0" width="{wide:.1f}" height="26"><title>{_text(name)}</title></rect>')
        label = f"{name} {100 * value / whole:.0f} %"
        if wide > 7.5 * len(label) + 16:
            found.append(f'<text class="inside" x="{at + 8:.1f}" y="18">{_text(label)}</text>')
        at += wide
    return _svg(26, "Shares of the time", found, "bar")


# --- parts of the picture


def _scale(rows: Sequence[Row], kept: Sequence[Row], sigma: float) -> Scale:
    """What is far above the base would flatten everything else: it goes to the upper edge."""
    scores = [row["val_bpb"] for row in rows if row["val_bpb"] is not None]
    base, best = kept[0]["val_bpb"], min(row["val_bpb"] for row in kept)
    low = min(min(scores), best - 1.5 * sigma)
    high = max(base + 2 * sigma, min(max(scores), base + max(4 * sigma, base - best)))
    room = 0.06 * (high - low) or 0.01
    return Scale(max(row["n"] for row in rows), low - room, high + room)


def _axes(scale: Scale) -> Iterator[str]:
    for score in _ticks(scale.low, scale.high):
        y = scale.y(score)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{score:.{_decimals(scale)}f}</text>'
    for n in _ticks(0, scale.last):
        if n == int(n):
            yield f'<text class="tick" x="{scale.x(n):.1f}" y="{BOTTOM + 18}" text-anchor="middle">{n:.0f}</text>'
    yield f'<text class="tick" x="{(LEFT + RIGHT) / 2}" y="{BOTTOM + 36}" text-anchor="middle">experiment</text>'
    yield f'<text class="tick" x="{LEFT - 56}" y="{TOP - 16}">val_bpb</text>'


def _best(kept: Sequence[Row], scale: Scale, sigma: float) -> Iterator[str]:
    """The incumbent's score as a staircase, and one sigma on each side of it."""
    starts = [scale.x(row["n"]) for row in kept]
    steps = list(zip(starts, [*starts[1:], RIGHT], (row["val_bpb"] for row in kept), strict=True))
    for left, right, score in steps:
        top, bottom = scale.y(score + sigma), scale.y(score - sigma)
        yield f'<rect class="band" x="{left:.1f}" y="{top:.1f}" width="{right - left:.1f}" height="{bottom - top:.1f}"/>'
    path = " ".join(f"L{left:.1f} {scale.y(score):.1f} L{right:.1f} {scale.y(score):.1f}" for left, right, score in steps)
    yield f'<path class="best" d="M{path[1:]}"/>'


def _dots(rows: Sequence[Row], scale: Scale) -> Iterator[str]:
    others = [row for row in rows if row["verdict"] not in ("keep", None)]
    if len(others) > TITLED:
        for kind in ("dot", "near", "lost"):
            path = " ".join(f"M{x:.1f} {y:.1f}h0" for row in others if _kind(row) == kind for x, y in [_place(row, scale)])
            yield f'<path class="many {kind}" d="{path}"/>'
        return
    for row in others:
        x, y = _place(row, scale)
        title = f"<title>{_text(_told(row))}</title>"
        if _kind(row) == "lost":
            yield f'<path class="lost" d="M{x - 3:.1f} {y - 3:.1f}l6 6m0 -6l-6 6">{title}</path>'
        else:
            hollow = " hollow" if row["val_bpb"] > scale.high else ""
            yield f'<circle class="{_kind(row)}{hollow}" cx="{x:.1f}" cy="{y:.1f}" r="3.2">{title}</circle>'


def _keeps(kept: Sequence[Row], scale: Scale) -> Iterator[str]:
    for row in kept:
        x, y = scale.x(row["n"]), scale.y(row["val_bpb"])
        words = "base" if row["n"] == 0 else f"{row['n']}"
        if row["n"] > 0 and len(kept) <= NAMED + 1:
            words += f": {safe(row['hypothesis'] or '', 34)}"
        side, anchor = (-4, "end") if x > (LEFT + RIGHT) / 2 else (4, "start")
        title = f"<title>{_text(_told(row))}</title>"
        yield (
            f'<a href="#n{row["n"]}"><circle class="keep" cx="{x:.1f}" cy="{y:.1f}" r="5.5">{title}</circle>'
            f'<text class="label" x="{x + side:.1f}" y="{y + 20:.1f}" text-anchor="{anchor}">{_text(words)}</text></a>'
        )


def _legend() -> Iterator[str]:
    x = LEFT + 60.0
    for kind, name in LEGEND:
        shape = f'<circle class="{kind}" cx="{x}" cy="14" r="4"/>'
        yield shape if kind != "lost" else f'<path class="lost" d="M{x - 3} 11l6 6m0 -6l-6 6"/>'
        yield f'<text class="tick" x="{x + 9}" y="18">{name}</text>'
        x += 34 + 7 * len(name)
    yield f'<path class="best" d="M{x} 14h22"/><text class="tick" x="{x + 28}" y="18">running best, with the noise of one trial</text>'


# --- small things


def _kind(row: Row) -> str:
    return "lost" if row["val_bpb"] is None else "near" if row["near_miss"] else "dot"


def _place(row: Row, scale: Scale) -> tuple[float, float]:
    """Failures have no score: they lie on the lower edge."""
    return scale.x(row["n"]), BOTTOM - 5 if row["val_bpb"] is None else scale.y(row["val_bpb"])


def _told(row: Row) -> str:
    score = "" if row["val_bpb"] is None else f" {row['val_bpb']:.4f}"
    return f"{row['n']} {row['verdict']}{score}: {safe(row['hypothesis'] or '', 120)}"


def _ticks(low: float, high: float) -> list[float]:
    """Four to eight round numbers."""
    span = max(high - low, 1e-9)
    size = 10.0 ** math.floor(math.log10(span / 4))
    step = next(each for each in (size, 2 * size, 5 * size, 10 * size) if span / each <= 8)
    first = math.ceil(low / step)
    return [k * step for k in range(first, math.floor(high / step) + 1)]


def _decimals(scale: Scale) -> int:
    return max(2, 2 - math.floor(math.log10(scale.high - scale.low)))


def _text(words: str) -> str:
    return escape(safe(words))


def _svg(height: int, label: str, parts: Sequence[str], kind: str = "chart") -> str:
    return f'<svg class="{kind}" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{_text(label)}">{"".join(parts)}</svg>'
