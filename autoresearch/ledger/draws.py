"""How sure a difference of scores is, by the number of draws behind it."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from autoresearch.ledger.store import Ledger

Row = dict[str, Any]

DRAWS = """
    SELECT experiment_id, purpose FROM trials
    WHERE session_id = :session AND outcome = 'ok' AND purpose IN ('base', 'screen', 'rerun', 'sentinel')
    ORDER BY id
"""

_UNTIL = "SELECT id, n, verdict, delta, sigma FROM experiments WHERE session_id = :session AND n <= :n ORDER BY n"


def standard_error(ledger: Ledger, session_id: int, n: int) -> float | None:
    """That of one experiment's `delta`, bits per byte; None where it has none."""
    rows = [dict(row) for row in ledger.query(_UNTIL, session=session_id, n=n)]
    return standard_errors(rows, ledger.query(DRAWS, session=session_id)).get(n)


def standard_errors(rows: Sequence[Row], draws: Iterable[Sequence[Any]]) -> dict[int, float]:
    """For each experiment with a `delta`, by number, the standard error of that, bits per byte.

    `draws` are the experiment's id and the purpose of the good trials in the order in which they ran. A version is
    known by the draws that did not select it, and is compared with the incumbent beside it where that was measured
    again, else with all of its draws until then.
    """
    kept = {row["n"] for row in rows if row["verdict"] == "keep"}
    fresh, again, beside = Counter[int](), Counter[int](), Counter[int]()
    known: dict[int, int] = {}
    incumbent = current = 0
    numbers = {row["id"]: row["n"] for row in rows}
    for id, purpose in draws:
        n = numbers.get(id, -1)
        if purpose == "sentinel":
            beside[current] += 1
        elif n > current:
            incumbent = current if current in kept else incumbent
            current, known[n] = n, max(1, fresh[incumbent])
        fresh[n] += purpose != "screen"
        again[n] += purpose == "rerun"
    return {
        row["n"]: row["sigma"] * math.sqrt(1 / max(1, again[row["n"]]) + 1 / (beside[row["n"]] or known[row["n"]]))
        for row in rows
        if row["delta"] is not None and row["sigma"] and row["n"] in known
    }
