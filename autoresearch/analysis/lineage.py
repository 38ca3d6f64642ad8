"""The kept changes that a session's incumbent is made of."""

from collections.abc import Mapping

from autoresearch.errors import UserError
from autoresearch.ledger import Experiment, Ledger, Session


def ancestry(experiment: Experiment, rows: Mapping[int, Experiment]) -> list[Experiment]:
    """An experiment, what it was derived from, and so on; a parent that is not older ends it (the ledger is damaged)."""
    path = [experiment]
    while (n := path[-1].parent) is not None and n < path[-1].n and n in rows:
        path.append(rows[n])
    return path


def stack(store: Ledger, session: Session) -> list[Experiment]:
    """The base and the keeps on the way to the incumbent, oldest first. Raises UserError where nothing was kept."""
    rows = {row.n: row for row in store.experiments(session.id) if row.state == "settled"}
    keeps = [row for row in rows.values() if row.verdict == "keep"]
    if len(keeps) < 2:
        goes_on = f"`autoresearch run --tag {session.tag} --hours 1` goes on"
        raise UserError(f"nothing was kept in this session: base and final are the same; {goes_on}")
    return [row for row in reversed(ancestry(keeps[-1], rows)) if row.verdict == "keep"]
