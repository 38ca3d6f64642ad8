"""The logic of the original's analysis notebook works on our results.tsv: keeps, running minimum, gains.

The notebook reads the table with pandas, makes numbers of `val_bpb` and `memory_gb`, takes `status` in capitals without
spaces, leaves crashes out of the curve and lets the minimum run over what was kept.
"""

import csv
import itertools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from support.programs import autoresearch

from autoresearch.ledger import Ledger

HOSTILE = "\"wider\tand deeper\r\nby far\x0b, 'now' \x85next\u2028line \x1b[2J\x9b31m\u202e"


def table(path: Path) -> list[dict[str, Any]]:
    """As `pd.read_csv(path, sep="\\t")` reads it, quotes of the same kind included."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for row in rows:
        assert None not in row and None not in row.values(), "a row with too many or too few columns"
        row |= {
            "val_bpb": float(row["val_bpb"]),
            "memory_gb": float(row["memory_gb"]),
            "status": row["status"].strip().upper(),
        }
    return rows


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> Path:
    """A copy of a session, to which a crash, a duplicate with hostile words and another keep were added."""
    root = shutil.copytree(finished, tmp_path / "copy")
    with Ledger.open(root / "runs" / "ledger.db") as store:
        session = store.session("t")
        assert session is not None
        for n, (verdict, score, words) in enumerate(
            [("crash", None, "boom"), ("duplicate", None, HOSTILE), ("keep", 1.25, HOSTILE)], 3
        ):
            known = {"val_bpb": score, "delta": -0.01, "sha": f"{n:040x}", "hypothesis": words, "reason": "of 1"}
            store.add_experiment(session.id, n, verdict=verdict, state="settled", settled=9e9 + n, **known)
    return root


@pytest.mark.slow
def test_the_same_keeps_and_the_same_running_minimum_as_the_ledger_has(folder: Path) -> None:
    assert autoresearch(folder, "export", "--tsv", "results.tsv").returncode == 0
    rows = table(folder / "results.tsv")
    assert list(rows[0]) == ["commit", "val_bpb", "memory_gb", "status", "description"]
    known = json.loads(autoresearch(folder, "log", "--all", "--json").stdout)
    assert [row["commit"] for row in rows] == [row["sha"][:7] for row in known]
    valid = [row for row in rows if row["status"] != "CRASH"]
    kept = [row for row in valid if row["status"] == "KEEP"]
    assert [row["commit"] for row in kept] == [row["sha"][:7] for row in known if row["verdict"] == "keep"]
    assert [row["val_bpb"] for row in kept] == [round(row["val_bpb"], 6) for row in known if row["verdict"] == "keep"]
    running = list(itertools.accumulate((row["val_bpb"] for row in kept), min))
    best = json.loads(autoresearch(folder, "status", "--json").stdout)
    assert running[0] == round(best["base_bpb"], 6) and running[-1] == round(best["best_bpb"], 6)
    counts = {status: sum(row["status"] == status for row in rows) for status in ("KEEP", "DISCARD", "CRASH")}
    assert counts == {"KEEP": 3, "DISCARD": 1, "CRASH": 2} and sum(counts.values()) == len(rows)
    assert rows[0]["description"] == "baseline" and "boom" in rows[3]["description"]


def test_words_of_an_agent_cannot_make_rows_or_columns(folder: Path) -> None:
    autoresearch(folder, "export", "--tsv", "results.tsv")
    text = (folder / "results.tsv").read_text()
    assert len(text.splitlines()) == len(table(folder / "results.tsv")) + 1 == 7
    assert all(line.count("\t") == 4 and line.replace("\t", "").isprintable() for line in text.splitlines())
