"""The kept changes that a session's incumbent is made of."""

from collections.abc import Mapping

from autoresearch.errors import UserError
from autoresearch.ledger import Experiment, Ledger, Session


def ancestry(experiment: Experiment, rows: Mapping[int, Experiment]) -> list[Experiment]:
    """Return an experiment and its chain of parents, which ends at one that is not older."""
    path = [experiment]
    while (n := path[-1].parent) is not None and n < path[-1].n and n in rows:
        path.append(rows[n])
    return path


def settled_keeps(store: Ledger, session: Session) -> list[Experiment]:
    """Return the settled keeps of a session by number, the base among them."""
    return [row for row in store.experiments(session.id, verdict="keep") if row.state == "settled"]


def stack(store: Ledger, session: Session) -> list[Experiment]:
    """Return the base and the keeps that lead to the incumbent. Raises UserError without any."""
    rows = {row.n: row for row in store.experiments(session.id) if row.state == "settled"}
    keeps = [row for row in rows.values() if row.verdict == "keep"]
    if len(keeps) < 2 and (demoted := [str(row.n) for row in rows.values() if row.found_later]):
        raise UserError(f"nothing is kept any more: experiments {', '.join(demoted)} were found suspect later")
    if len(keeps) < 2:
        hint = f"`autoresearch run --tag {session.tag} --hours 1` continues it"
        raise UserError(f"nothing was kept in this session: base and final are the same; {hint}")
    return [row for row in reversed(ancestry(keeps[-1], rows)) if row.verdict == "keep"]
