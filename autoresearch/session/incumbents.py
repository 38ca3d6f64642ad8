"""The draws that tell about the level and the noise of an incumbent, read from the ledger."""

from dataclasses import replace

from autoresearch.analysis.draws import Draws
from autoresearch.judge import ANCESTORS, Incumbent, Squares
from autoresearch.ledger import Experiment
from autoresearch.ledger.scores import discards_by_parent
from autoresearch.session.context import SessionContext


def read_incumbent(context: SessionContext, row: Experiment, fresh: Draws, draws: Draws, spread: float) -> Incumbent:
    """Return the draws of an incumbent, of what was discarded on it, and of the incumbents before it.

    `spread` is the standard deviation of a trial of the incumbent before it, in that of its own.
    """
    discards = discards_by_parent(context.ledger, context.id)

    def read(row: Experiment, ancestors: int) -> Incumbent:
        candidates = [draws[id] for id in discards.get(row.n, ()) if id in draws]
        selecting = [draw for draw in draws[row.id] if draw not in fresh.get(row.id, ())]
        before = _incumbent_before(context, row) if ancestors else None
        parent = read(before, ancestors - 1) if before is not None and before.id in draws else None
        return Incumbent(fresh.get(row.id, ()), selecting, candidates, parent)

    found = read(row, ANCESTORS)
    return replace(found, parent=found.parent and replace(found.parent, spread=spread))


def read_lineage(context: SessionContext, row: Experiment, fresh: Draws, candidate: int | None) -> list[Squares]:
    """Return the scatter of trials of each kept version up to this one, and of what was discarded on it.

    `candidate` is the id of an experiment that is compared with the last one.
    """
    discards, lineage = discards_by_parent(context.ledger, context.id), list[Squares]()
    at: Experiment | None = row
    while at is not None:
        ids = {at.id, *discards.get(at.n, ())}
        if at is row and candidate is not None:
            ids.add(candidate)
        lineage.append(Squares.of([fresh.get(id, ()) for id in sorted(ids)]))
        at = _kept_ancestor(context, at)
    return lineage[::-1]


def _kept_ancestor(context: SessionContext, row: Experiment) -> Experiment | None:
    """Return the kept version from which an experiment descends; a near miss may lie between the two."""
    at = row
    while at.parent is not None:
        at = context.experiment(at.parent)
        if at.verdict == "keep":
            return at
    return None


def _incumbent_before(context: SessionContext, row: Experiment) -> Experiment | None:
    """Return the kept version on which a keep was built directly, if there is one."""
    before = context.experiment(row.parent) if row.parent is not None else None
    return before if before is not None and before.verdict == "keep" else None
