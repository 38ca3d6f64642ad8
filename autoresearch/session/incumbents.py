"""The draws that tell about the level of an incumbent, read from the ledger."""

from collections.abc import Mapping, Sequence

from autoresearch import judge
from autoresearch.judge import ANCESTORS, Draw
from autoresearch.ledger import Experiment
from autoresearch.ledger.scores import discarded_on
from autoresearch.session.context import SessionContext

Draws = Mapping[int, Sequence[Draw]]  # by the id of their experiment


def read_incumbent(
    context: SessionContext, row: Experiment, fresh: Draws, draws: Draws, ancestors: int = ANCESTORS
) -> judge.Incumbent:
    """Return the draws of an incumbent, of what was discarded on it, and of the incumbent before it."""
    candidates = [draws[id] for id in discarded_on(context.ledger, context.id, row.n) if id in draws]
    selecting = [draw for draw in draws[row.id] if draw not in fresh.get(row.id, ())]
    before = _incumbent_before(context, row) if ancestors else None
    parent = None
    if before is not None and before.id in draws:
        parent = read_incumbent(context, before, fresh, draws, ancestors - 1)
    return judge.Incumbent(fresh.get(row.id, ()), selecting, candidates, parent)


def _incumbent_before(context: SessionContext, row: Experiment) -> Experiment | None:
    """Return the kept version on which a keep was built directly, if there is one."""
    before = context.experiment(row.parent) if row.parent is not None else None
    return before if before is not None and before.verdict == "keep" else None
