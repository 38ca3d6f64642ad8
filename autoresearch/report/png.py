"""The progress of a session as a PNG, by matplotlib: for slides and for where no SVG goes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoresearch.errors import UserError
from autoresearch.report.chart import ASLANT, bounds, kind_of, labels, scored_keeps

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Row = dict[str, Any]

SIZE, DPI = (11.0, 5.5), 110  # inches, and dots in one
DOTS = {"dot": ("#98a3ae", "o", "discard"), "near": ("#b7791f", "o", "near miss"), "lost": ("#b02a37", "x", "failed")}
GREEN = "#157347"


def save(rows: Sequence[Row], sigma: float | None, path: Path) -> Path:
    """Draw what chart.progress draws. Raises UserError without matplotlib or a base, or where it cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError("--png needs matplotlib: pip install 'autoresearch[plot]'") from None
    kept = scored_keeps(rows)
    if not kept:
        raise UserError("the base is not measured yet: there is nothing to draw")
    figure = Figure(figsize=SIZE, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    _draw(axes, rows, kept, sigma or 0.0)
    figure.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=5)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _draw(axes: "Axes", rows: Sequence[Row], kept: Sequence[Row], noise: float) -> None:
    scale = bounds(rows, kept, noise)
    last = scale.last
    for kind, (colour, marker, name) in DOTS.items():
        found = [row for row in rows if row["verdict"] not in ("keep", None) and kind_of(row) == kind]
        heights = [scale.low if row["val_bpb"] is None else min(row["val_bpb"], scale.high) for row in found]
        axes.scatter([row["n"] for row in found], heights, s=16, c=colour, marker=marker, label=name, clip_on=False)
    steps = [row["n"] for row in kept] + [last]
    best = [row["val_bpb"] for row in kept] + [kept[-1]["val_bpb"]]
    axes.fill_between(
        steps, [y - noise for y in best], [y + noise for y in best], step="post", color=GREEN, alpha=0.13, lw=0
    )
    axes.step(steps, best, where="post", color=GREEN, lw=2, label="running best, with the noise of one trial")
    axes.scatter(steps[:-1], best[:-1], s=50, c=GREEN, edgecolors="white", zorder=3, label="keep")
    for row, words in labels(kept, scale):
        _label(axes, row, words)
    axes.set(
        xlim=(scale.first, last), ylim=(scale.low, scale.high), xlabel="experiment", ylabel="val_bpb, lower is better"
    )
    axes.set_title(f"{len(rows) - 1} experiments, {len(kept) - 1} kept", loc="left")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _label(axes: "Axes", row: Row, words: str) -> None:
    plain = words.replace("$", r"\$")  # no formulas
    aslant = {"xytext": (-3, -7), "ha": "right", "va": "top", "rotation": ASLANT, "rotation_mode": "anchor"}
    where: dict[str, Any] = aslant if row["n"] > 0 else {"xytext": (3, 7)}
    axes.annotate(plain, (row["n"], row["val_bpb"]), textcoords="offset points", fontsize=8, **where)
