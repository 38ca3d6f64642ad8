"""Data of charts for the script that draws them: x positions and a column for each series."""

from collections.abc import Sequence

from autoresearch.files import JsonObject
from autoresearch.ledger import ExperimentRow
from autoresearch.report.axes import Scale
from autoresearch.report.blocks import Curve, safe
from autoresearch.report.chart import bounds, kind_of, labels, scored_keeps

MAX_WORDS = 2000  # experiments whose hypotheses are sent along
DOTS = {"dot": "discard", "near": "near miss", "lost": "failed"}


def progress(rows: Sequence[ExperimentRow], sigma: float | None) -> JsonObject:
    """Return the data of `chart.progress`; `words` and `labels` go by number of experiment."""
    keeps = scored_keeps(rows)
    if not keeps:
        return {"x": [], "series": []}
    noise = sigma or 0.0
    scale = bounds(rows, keeps, noise)
    best = _running_best(rows)
    low, high = ([None if y is None else y + sign * noise for y in best] for sign in (-1, 1))
    kept = [row.val_bpb if row.verdict == "keep" else None for row in rows]
    series = [_series(name, kind, [_height(row, kind, scale) for row in rows]) for kind, name in DOTS.items()]
    lines = {"high": high, "low": low, "running best": best, "keep": kept}
    words = {row.n: f"{row.n} {row.verdict}: {safe(row.hypothesis or '', 160)}" for row in rows[-MAX_WORDS:]}
    return {
        "across": "experiment",
        "x": [row.n for row in rows],
        "series": [*series, *(_series(name, name, y) for name, y in lines.items())],
        "low": scale.low,
        "high": scale.high,
        "words": words,
        "labels": {row.n: words for row, words in labels(keeps, scale) if words},
        "leads": True,
    }


def curves(shown: Sequence[Curve], across: str) -> JsonObject:
    """Return curves on common positions, None if one has no value."""
    columns = [dict(curve.points) for curve in shown]
    xs = sorted({x for column in columns for x in column})
    series = [
        _series(safe(curve.name), f"curve{min(k, 3)}", [column.get(x) for x in xs])
        for k, (curve, column) in enumerate(zip(shown, columns, strict=True))
    ]
    return {"across": across, "x": xs, "series": series}


def _series(name: str, kind: str, y: Sequence[float | None]) -> JsonObject:
    return {"name": name, "kind": kind, "y": y}


def _running_best(rows: Sequence[ExperimentRow]) -> list[float | None]:
    best, found = None, []
    for row in rows:
        best = row.val_bpb if row.verdict == "keep" and row.val_bpb is not None else best
        found.append(best)
    return found


def _height(row: ExperimentRow, kind: str, scale: Scale) -> float | None:
    """Return the height of a dot; failures and scores far above are on the edges."""
    if row.verdict in ("keep", None) or kind_of(row) != kind:
        return None
    return scale.low if row.val_bpb is None else min(row.val_bpb, scale.high)
