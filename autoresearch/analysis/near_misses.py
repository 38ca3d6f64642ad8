"""Choose the near misses of a session that are worth another look."""

from collections.abc import Iterator, Mapping, Sequence

from autoresearch.analysis.pools import odds_after_pools
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.ledger.baselines import Row, baseline
from autoresearch.ledger.statements import is_near_miss
from autoresearch.source.diff import added_lines

MIN_SHARE_INSIDE = 0.8  # of the lines that a change adds: with so many in it, a version contains the change


def worth_a_look(store: Ledger, session: Session, rows: Sequence[Row]) -> list[Row]:
    """Return near misses whose change is in no keep, those with the best odds first.

    The trials of a pool that was dropped count in the odds of its parts.
    """
    by_n, odds = {row.n: row for row in rows}, odds_after_pools(store, session.id, rows)
    kept = [row for row in rows if row.verdict == "keep"]
    built_on = {n for row in kept for n in (*_ancestors(row, by_n), *row.pooled)}
    best = kept[-1].n if kept else 0
    near = [row for row in rows if is_near_miss(odds.get(row.n)) and row.n not in built_on]
    text = _read_text(store, session, best) if near else ""
    found = [row for row in near if not _is_inside(store, session, row, baseline(row, by_n), text)]
    return sorted(found, key=lambda row: -odds[row.n])


def _ancestors(row: Experiment, by_n: Mapping[int, Row]) -> Iterator[int]:
    while row.parent is not None and row.parent in by_n and row.parent < row.n:
        row = by_n[row.parent]
        yield row.n


def _is_inside(store: Ledger, session: Session, row: Experiment, before: Experiment | None, best: str) -> bool:
    """Return whether the best version has most lines that an experiment added to its baseline."""
    if before is None:
        return False
    added = added_lines(_read_text(store, session, before.n), _read_text(store, session, row.n))
    held = {line.strip() for line in best.splitlines()}
    return bool(added) and sum(line in held for line in added) >= MIN_SHARE_INSIDE * len(added)


def _read_text(store: Ledger, session: Session, n: int) -> str:
    experiment = store.experiment(session.id, n)
    return (experiment.text or "") if experiment else ""
