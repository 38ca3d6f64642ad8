"""The draws that tell about the level and the noise of an incumbent, read from the ledger."""

from dataclasses import replace

from autoresearch import judge
from autoresearch.analysis.draws import Draws
from autoresearch.judge import ANCESTORS, Squares
from autoresearch.ledger import Experiment
from autoresearch.ledger.scores import discarded_on
from autoresearch.session.context import SessionContext


def read_incumbent(
    context: SessionContext, row: Experiment, fresh: Draws, draws: Draws, spread: float, ancestors: int = ANCESTORS
) -> judge.Incumbent:
    """Return the draws of an incumbent, of what was discarded on it, and of the incumbent before it.

    `spread` is the standard deviation of a trial of the incumbent before it, in that of its own.
    """
    candidates = [draws[id] for id in discarded_on(context.ledger, context.id, row.n) if id in draws]
    selecting = [draw for draw in draws[row.id] if draw not in fresh.get(row.id, ())]
    before = _incumbent_before(context, row) if ancestors else None
    parent = None
    if before is not None and before.id in draws:
        parent = replace(read_incumbent(context, before, fresh, draws, 1.0, ancestors - 1), spread=spread)
    return judge.Incumbent(fresh.get(row.id, ()), selecting, candidates, parent)


def read_lineage(context: SessionContext, row: Experiment, fresh: Draws, candidate: int | None) -> list[Squares]:
    """Return the scatter of trials of each kept version up to this one, and of what was discarded on it.

    `candidate` is the id of an experiment that is compared with the last one.
    """
    lineage = list[Squares]()
    at: Experiment | None = row
    while at is not None:
        ids = {at.id, *discarded_on(context.ledger, context.id, at.n)}
        if at is row and candidate is not None:
            ids.add(candidate)
        lineage.append(Squares.of([fresh.get(id, ()) for id in sorted(ids)]))
        at = _incumbent_before(context, at)
    return lineage[::-1]


def _incumbent_before(context: SessionContext, row: Experiment) -> Experiment | None:
    """Return the kept version on which a keep was built directly, if there is one."""
    before = context.experiment(row.parent) if row.parent is not None else None
    return before if before is not None and before.verdict == "keep" else None
