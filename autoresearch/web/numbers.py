"""The numbers of a picture, for the script that draws it anew: places from left to right, a column for each series."""

from collections.abc import Sequence
from typing import Any

from autoresearch.report.axes import Scale
from autoresearch.report.blocks import safe
from autoresearch.report.chart import bounds, kind_of, labels, scored_keeps
from autoresearch.report.curves import Curve

Row = dict[str, Any]

TOLD = 2000  # experiments of which the words are sent along
DOTS = {"dot": "discard", "near": "near miss", "lost": "failed"}


def progress(rows: Sequence[Row], sigma: float | None) -> dict[str, Any]:
    """As chart.progress draws it; `words` and `labels` go by number of experiment."""
    kept = scored_keeps(rows)
    if not kept:
        return {"x": [], "series": []}
    noise = sigma or 0.0
    scale = bounds(rows, kept, noise)
    best = _running_best(rows)
    low, high = ([None if y is None else y + sign * noise for y in best] for sign in (-1, 1))
    series = [
        {"name": name, "kind": kind, "y": [_height(row, kind, scale) for row in rows]} for kind, name in DOTS.items()
    ]
    series += [
        {"name": name, "kind": name, "y": y} for name, y in (("high", high), ("low", low), ("running best", best))
    ]
    series += [
        {"name": "keep", "kind": "keep", "y": [row["val_bpb"] if row["verdict"] == "keep" else None for row in rows]}
    ]
    told = {row["n"]: f"{row['n']} {row['verdict']}: {safe(row['hypothesis'] or '', 160)}" for row in rows[-TOLD:]}
    return {
        "across": "experiment", "x": [row["n"] for row in rows], "series": series, "low": scale.low, "high": scale.high,
        "words": told, "labels": {row["n"]: words for row, words in labels(kept, scale) if words}, "leads": True,
    }  # fmt: skip


def curves(found: Sequence[Curve], across: str) -> dict[str, Any]:
    """Curves on common places; where one has no value there is none."""
    columns = [dict(curve.points) for curve in found]
    places = sorted({x for column in columns for x in column})
    series = [
        {"name": safe(curve.name), "kind": f"curve{min(k, 3)}", "y": [column.get(x) for x in places]}
        for k, (curve, column) in enumerate(zip(found, columns, strict=True))
    ]
    return {"across": across, "x": places, "series": series}


def _running_best(rows: Sequence[Row]) -> list[float | None]:
    best, found = None, []
    for row in rows:
        best = row["val_bpb"] if row["verdict"] == "keep" and row["val_bpb"] is not None else best
        found.append(best)
    return found


def _height(row: Row, kind: str, scale: Scale) -> float | None:
    """Failures have no score: they lie on the lower edge; what is far above lies on the upper one."""
    if row["verdict"] in ("keep", None) or kind_of(row) != kind:
        return None
    return scale.low if row["val_bpb"] is None else min(float(row["val_bpb"]), scale.high)
