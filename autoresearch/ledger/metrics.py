"""The metric of a session with its kind, and the scores by task of a rate."""

import json
from collections.abc import Sequence
from dataclasses import replace

from autoresearch.ledger.rows import Session
from autoresearch.ledger.store import Ledger
from autoresearch.metric import AUTO, EXACT, NOISY, Metric

Tasks = dict[str, float]  # scores by task of one trial

_BASE = """
    SELECT val_bpb AS score FROM trials
    WHERE session_id = :session AND purpose = 'base' AND outcome = 'ok' ORDER BY id
"""

_TASKS = """
    SELECT experiment_id, json_extract(result, '$.tasks') AS tasks FROM trials
    WHERE session_id = :session AND outcome = 'ok' AND purpose IN (SELECT value FROM json_each(:purposes)) ORDER BY id
"""


def settle_metric(ledger: Ledger, session: Session) -> Metric:
    """Return the metric; the kind `auto` is exact where the trials of the base, with different seeds, are all equal."""
    metric = session.metric
    if metric.kind != AUTO:
        return metric
    scores = [row["score"] for row in ledger.query(_BASE, session=session.id)]
    return replace(metric, kind=EXACT if len(scores) > 1 and len(set(scores)) == 1 else NOISY)


def count_tasks(ledger: Ledger, session: Session) -> int:
    """Return the number of tasks of a rate; 0 where the number is none, or the base is not measured yet."""
    trials = next(iter(scores_by_task(ledger, session, ["base"]).values()), [])
    return len(trials[0]) if trials else 0


def scores_by_task(ledger: Ledger, session: Session, purposes: Sequence[str]) -> dict[int, list[Tasks]]:
    """Return the scores by task of good trials with these purposes, by the id of their experiment."""
    found: dict[int, list[Tasks]] = {}
    for row in ledger.query(_TASKS, session=session.id, purposes=json.dumps(purposes)):
        if row["tasks"] is not None:
            found.setdefault(row["experiment_id"], []).append(json.loads(row["tasks"]))
    return found
