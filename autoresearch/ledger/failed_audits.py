"""Keeps whose later audit failed, and what was built on them.

A version that was kept honestly may fail an audit afterwards: as the incumbent beside a candidate, or when a command
measures it again. Its trial is in the ledger already, so what follows from it can be computed, and taken, at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from autoresearch.ledger.rows import FOUND_LATER, Experiment
from autoresearch.ledger.store import Ledger

_FAILED = """
    SELECT e.n, t.purpose, t.seed, json_extract(t.result, '$.reason') AS reason
    FROM trials AS t INDEXED BY trials_briefly JOIN experiments AS e ON e.id = t.experiment_id
    WHERE t.session_id = :session AND t.outcome = 'suspect' AND t.blob = e.blob
      AND e.verdict = 'keep' AND e.state = 'settled'
    ORDER BY t.id DESC
"""


@dataclass(frozen=True)
class Demotions:
    """What failed audits change: `suspects` are the reasons of keeps that no longer stand, by experiment.

    `misses` are near misses of versions built on one of them: their difference to it says nothing. `fallback` is the
    newest keep that stands; None if the base is a suspect.
    """

    suspects: Mapping[int, str]
    misses: frozenset[int]
    fallback: int | None


def failed_audits(ledger: Ledger, session_id: int) -> dict[int, str]:
    """Return the failed audit of each settled keep that has one, the first one, in words."""
    rows = ledger.query(_FAILED, session=session_id)
    return {row["n"]: f"{row['reason']} ({row['purpose']} trial, seed {row['seed']})" for row in rows}


def find_demotions(ledger: Ledger, session_id: int) -> Demotions | None:
    """Return what the failed audits of keeps change; None if there is nothing to change."""
    failed = failed_audits(ledger, session_id)
    if not failed:
        return None
    rows = ledger.experiments(session_id)
    roots = _trace(rows, failed)
    keeps = [row.n for row in rows if row.verdict == "keep"]
    standing = [row.n for row in rows if row.verdict == "keep" and row.state == "settled" and row.n not in roots]
    return Demotions(
        suspects={n: f"{FOUND_LATER}: {_reason(n, roots[n], failed)}" for n in keeps if n in roots},
        misses=frozenset(row.n for row in rows if row.near_miss and row.n in roots),
        fallback=standing[-1] if standing else None,
    )


def _trace(rows: list[Experiment], failed: Mapping[int, str]) -> dict[int, int]:
    """Return the version with a failed audit that each experiment is, or was built on, the newest one."""
    roots: dict[int, int] = {}
    for row in rows:
        if row.n in failed:
            roots[row.n] = row.n
        elif row.parent in roots:
            roots[row.n] = roots[row.parent]
    return roots


def _reason(n: int, root: int, failed: Mapping[int, str]) -> str:
    return failed[n] if n == root else f"built on experiment {root}, which is suspect"
