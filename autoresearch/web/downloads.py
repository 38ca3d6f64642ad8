"""Numbers of the pages as CSV, for spreadsheets and scripts."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from autoresearch.files import JsonObject
from autoresearch.ledger import ExperimentRow
from autoresearch.ledger.queries import FORMULA
from autoresearch.metric import VAL_BPB
from autoresearch.report.blocks import Link, Paragraph, safe
from autoresearch.report.format import score_label

EXPERIMENT = (
    "n", "parent", "sha", "verdict", "near_miss", "val_bpb", "delta", "sigma", "error", "p_gain", "predicted", "trials",
    "agent", "model", "category", "lines_added", "lines_removed", "params_added", "cost_usd", "seconds", "hypothesis",
    "reason",
)  # fmt: skip


def experiments(rows: Sequence[ExperimentRow]) -> str:
    """Return one line for each experiment."""
    score = score_label(EXPERIMENT, rows[0].metric) if rows and rows[0].metric != VAL_BPB else "val_bpb"
    head = [score if name == "val_bpb" else name for name in EXPERIMENT]
    return _write([head, *([getattr(row, name) for name in EXPERIMENT] for row in rows)])


def chart(data: JsonObject) -> str:
    """Return the numbers of a chart (numbers.py): one line for each position, one column for each series."""
    if not data["x"]:
        return ""
    series = data["series"]
    head = [data["across"], *(each["name"] for each in series)]
    return _write([head, *zip(data["x"], *(each["y"] for each in series), strict=True)])


def file_name(*parts: object) -> str:
    """Return a name that is the same on every system; a tag is untrusted text."""
    return "-".join(re.sub(r"[^\w.-]+|^\.+", "_", str(part), flags=re.ASCII) for part in parts) + ".csv"


def link(address: str) -> Paragraph:
    return Paragraph([Link("download as CSV", address)], "quiet")


def _write(rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(list(_cells(row)) for row in rows)
    return text.getvalue()


def _cells(row: Sequence[object]) -> Iterator[object]:
    """Clean texts, and keep a spreadsheet from reading them as formulas."""
    for cell in row:
        words = safe(cell) if isinstance(cell, str) else cell
        yield f"'{words}" if isinstance(words, str) and words.startswith(FORMULA) else words
