"""Draw the progress of a session as PNG with matplotlib."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoresearch.errors import UserError, describe_install, require
from autoresearch.ledger.queries import ExperimentRow
from autoresearch.report.chart import (
    BEST,
    DOTS,
    PLACES,
    Label,
    bounds,
    discards,
    height,
    kind_of,
    labels,
    scored_keeps,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES, DPI = (11.0, 5.5), 110
MARKS = {"dot": ("#98a3ae", "o"), "near": ("#b7791f", "o"), "lost": ("#b02a37", "x")}
GREEN, BLUE = "#157347", "#2563a8"  # of keeps, of the running best


def save(rows: Sequence[ExperimentRow], sigma: float | None, path: Path) -> Path:
    """Draw what `chart.progress` draws. Raises UserError, also without matplotlib or a base."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise UserError(f"--png needs matplotlib: {describe_install('matplotlib')}") from None
    keeps = scored_keeps(rows)
    if not keeps:
        raise UserError("the base is not measured yet: there is nothing to draw")
    figure = Figure(figsize=SIZE_INCHES, dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    _draw(axes, rows, keeps, sigma or 0.0)
    figure.legend(loc="outside lower center", frameon=False, fontsize=8, ncols=6)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png")
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from None
    return path


def _draw(axes: "Axes", rows: Sequence[ExperimentRow], keeps: Sequence[ExperimentRow], noise: float) -> None:
    from matplotlib.ticker import MaxNLocator

    scale, metric = bounds(rows, keeps, noise), keeps[0].metric
    last = scale.last
    for kind, name in DOTS.items():
        colour, marker = MARKS[kind]
        shown = [row for row in discards(rows) if kind_of(row) == kind]
        if not shown:
            continue
        axes.scatter(
            [row.n for row in shown],
            [height(row, scale) for row in shown],
            s=16,
            c=colour,
            marker=marker,
            label=name,
            clip_on=False,
        )
    steps = [*(row.n for row in keeps), last]
    best = [require(row.val_bpb) for row in (*keeps, keeps[-1])]
    low, high = zip(*(metric.band(y, noise) for y in best), strict=True)
    axes.fill_between(steps, low, high, step="post", color=BLUE, alpha=0.13, lw=0)
    axes.step(steps, best, where="post", color=BLUE, lw=2, label=BEST)
    axes.scatter(steps[:-1], best[:-1], s=50, c=GREEN, edgecolors="white", zorder=3, label="keep")
    for label in labels(keeps, scale):
        _label(axes, label)
    axes.set(xlim=(scale.first, last), ylim=(scale.low, scale.high), xlabel="experiment", ylabel=metric.axis)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    tried = sum(not row.unmeasured for row in rows) - 1
    axes.set_title(f"{tried} experiments, {len(keeps) - 1} kept", loc="left")
    axes.grid(axis="y", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)


def _label(axes: "Axes", label: Label) -> None:
    across, down, turn, anchor = PLACES[label.place]
    slanted: dict[str, Any] = {
        "ha": "right" if anchor == "end" else "left", "va": "bottom" if down < 0 else "top", "rotation": turn,
        "rotation_mode": "anchor",
    }  # fmt: skip
    plain = label.words.replace("$", r"\$")  # no formulas
    point, offset = (label.row.n, require(label.row.val_bpb)), (across, 7 if down < 0 else -7)
    axes.annotate(plain, point, xytext=offset, textcoords="offset points", fontsize=8, **slanted)
