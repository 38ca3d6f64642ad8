"""What was spent, and what came of it, for each agent, model, category, program.md or tenth of a session."""

from collections.abc import Sequence
from typing import Any

from autoresearch.ledger.rows import UNSCORED, Call

Row = dict[str, Any]

BY = {"agent": "agent", "model": "model", "category": "category", "program": "program_hash"}  # columns by key
KEYS = (*BY, "decile")


def sums(rows: Sequence[Row], calls: Sequence[Call], by: str) -> list[Row]:
    """One row for each group of the experiments in `rows` (see `log_rows`), the base aside; most experiments first.

    `gain` is the sum of what the keeps gained when they were judged, bits per byte; less code for the same score is
    none. `cost_usd` is what all calls of models cost, None where a price is unknown. What a keep cost is None where
    there is none.
    """
    tried = [row for row in rows if row["n"] > 0]
    groups: dict[str, list[Row]] = {}
    for k, row in enumerate(tried):
        key = f"{10 * k // len(tried) + 1}" if by == "decile" else row[BY[by]] or "-"
        groups.setdefault(key, []).append(row)
    paid = _paid(tried, calls)
    found = [_sum(by, key, group, paid) for key, group in groups.items()]
    return found if by == "decile" else sorted(found, key=lambda row: -row["experiments"])


def _paid(rows: Sequence[Row], calls: Sequence[Call]) -> dict[int, float | None]:
    """Dollars for each experiment: of its calls, or what its agent says where no call is on record."""
    paid: dict[int, float | None] = {}
    for call in calls:
        if call.n is not None:
            before = paid.get(call.n, 0.0)
            paid[call.n] = None if before is None or call.cost_usd is None else before + call.cost_usd
    return {row["n"]: row["cost_usd"] or 0.0 for row in rows} | paid


def _sum(by: str, key: str, group: Sequence[Row], paid: dict[int, float | None]) -> Row:
    kept = [row for row in group if row["verdict"] == "keep"]
    costs = [paid[row["n"]] for row in group]
    cost = None if None in costs else sum(value or 0.0 for value in costs)
    minutes = sum(row["seconds"] for row in group) / 60
    return {
        by: key,
        "experiments": len(group),
        "kept": len(kept),
        "near_misses": sum(bool(row["near_miss"]) for row in group),
        "failed": sum(row["verdict"] in UNSCORED for row in group),
        "gain": -sum(row["delta"] or 0.0 for row in kept if not row["simpler"]),
        "minutes": minutes,
        "minutes_per_keep": minutes / len(kept) if kept else None,
        "cost_usd": cost,
        "cost_per_keep": cost / len(kept) if kept and cost is not None else None,
    }
