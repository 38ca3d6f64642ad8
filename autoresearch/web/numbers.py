"""Data of charts for the script that draws them: x positions and a column for each series."""

from collections.abc import Sequence

from autoresearch.files import JsonObject
from autoresearch.ledger import ExperimentRow
from autoresearch.report.axes import Scale
from autoresearch.report.blocks import Curve, safe
from autoresearch.report.chart import DOTS, LABEL_CHARS, bounds, height, kind_of, scored_keeps
from autoresearch.report.curves import smooth, style

MAX_WORDS = 2000  # experiments whose hypotheses are sent along


def progress(rows: Sequence[ExperimentRow], sigma: float | None) -> JsonObject:
    """Return the data of `chart.progress`; `words` and `labels` go by number of experiment."""
    keeps = scored_keeps(rows)
    if not keeps:
        return {"x": [], "series": []}
    noise = sigma or 0.0
    scale = bounds(rows, keeps, noise)
    best = _running_best(rows)
    bands = [(None, None) if y is None else keeps[0].metric.band(y, noise) for y in best]
    low, high = [band[0] for band in bands], [band[1] for band in bands]
    kept = [row.val_bpb if row.verdict == "keep" else None for row in rows]
    series = [_series(name, kind, [_height(row, kind, scale) for row in rows]) for kind, name in DOTS.items()]
    lines = {"high": high, "low": low, "running best": best, "keep": kept}
    words = {row.n: f"{row.n} {row.verdict}: {safe(row.hypothesis or '', 160)}" for row in rows[-MAX_WORDS:]}
    return {
        "across": "experiment",
        "up": keeps[0].metric.axis,
        "x": [row.n for row in rows],
        "series": [*series, *(_series(name, name, y) for name, y in lines.items())],
        "low": scale.low,
        "high": scale.high,
        "words": words,
        "labels": {row.n: _label(row) for row in keeps},
        "leads": True,
        "whole": True,
    }


def curves(shown: Sequence[Curve], across: str) -> JsonObject:
    """Return curves on common positions, None if one has no value; `smooth` is a second column, if there is one."""
    xs = sorted({x for curve in shown for x, _ in curve.points})
    series = []
    for k, curve in enumerate(shown):
        own, smoothed = dict(curve.points), dict(smooth(curve) or ())
        column = _series(safe(curve.name), style(k), [own.get(x) for x in xs])
        series.append(column | ({"smooth": [smoothed.get(x) for x in xs]} if smoothed else {}))
    whole = bool(shown) and all(curve.steps for curve in shown)
    return {"across": across, "x": xs, "series": series, "whole": whole}


def _label(row: ExperimentRow) -> str:
    """Return the whole hypothesis with its number; empty if it is too long for a label."""
    words = "base" if row.n == 0 else f"{row.n}: {safe(row.hypothesis or '', LABEL_CHARS + 1)}"
    return words if len(words) <= LABEL_CHARS else ""


def _series(name: str, kind: str, y: Sequence[float | None]) -> JsonObject:
    return {"name": name, "kind": kind, "y": y}


def _running_best(rows: Sequence[ExperimentRow]) -> list[float | None]:
    best, found = None, []
    for row in rows:
        best = row.val_bpb if row.verdict == "keep" and row.val_bpb is not None else best
        found.append(best)
    return found


def _height(row: ExperimentRow, kind: str, scale: Scale) -> float | None:
    """Return the height of a dot of a kind; failures, and what is far above, are on the edges."""
    if row.verdict in ("keep", None) or row.unmeasured or kind_of(row) != kind:
        return None
    return height(row, scale)
