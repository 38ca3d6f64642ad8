"""Find the version against which an experiment was judged."""

from collections.abc import Mapping
from typing import TypeVar

from autoresearch.ledger.rows import BRANCHES, Experiment

Row = TypeVar("Row", bound=Experiment)


def baseline(experiment: Experiment, rows: Mapping[int, Row]) -> Row | None:
    """Return the incumbent for which an experiment was made: `delta` is the difference to its mean.

    It is the nearest version up the line of parents that was kept. An experiment that branches from an older keep has
    to beat the incumbent of its time. `rows` need no texts. None for the base.
    """
    row: Experiment = experiment
    while row.parent is not None and row.parent in rows and row.parent < row.n:
        branches, parent = row.mode in BRANCHES, rows[row.parent]
        if parent.found_later:
            return parent
        if branches:
            return _incumbent_at(experiment, rows)
        if parent.verdict == "keep":
            return parent
        row = parent
    return None


def _incumbent_at(experiment: Experiment, rows: Mapping[int, Row]) -> Row | None:
    end = float("inf") if experiment.settled is None else experiment.settled
    earlier = [row for row in rows.values() if row.n != experiment.n and (row.settled or 0.0) <= end]
    keeps = [row for row in earlier if row.verdict == "keep" or row.found_later]
    return max(keeps, key=lambda row: (row.settled or 0.0, row.n), default=None)
