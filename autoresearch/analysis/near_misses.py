"""Choose the near misses of a session that are worth another look."""

from collections.abc import Iterator, Mapping, Sequence

from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.ledger.baselines import Row, baseline
from autoresearch.source.diff import added_lines

MIN_SHARE_INSIDE = 0.8  # of the lines that a change adds: with so many in it, a version contains the change


def worth_a_look(store: Ledger, session: Session, rows: Sequence[Row]) -> list[Row]:
    """Return near misses whose change is in no keep, those with the best odds first."""
    by_n = {row.n: row for row in rows}
    built_on = {n for row in rows if row.verdict == "keep" for n in _ancestors(row, by_n)}
    best = next((row.n for row in reversed(rows) if row.verdict == "keep"), 0)
    near = [row for row in rows if row.near_miss and row.n not in built_on]
    text = _read_text(store, session, best) if near else ""
    found = [row for row in near if not _is_inside(store, session, row, baseline(row, by_n), text)]
    return sorted(found, key=lambda row: -(row.p_gain or 0.0))


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
