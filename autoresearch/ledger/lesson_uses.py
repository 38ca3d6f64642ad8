"""Lessons that were in the brief of each proposal, and those that were left out by chance."""

import json
from dataclasses import dataclass

from autoresearch.ledger.rows import is_unmeasured
from autoresearch.ledger.store import Ledger

LESSONS = "lessons"  # in `params` of an experiment: `block`, and keys (tag#n) of the lessons `shown` and `left_out`
EXPIRED = "expired"  # kind of the event with which a lesson is no longer shown; `lesson` in its data is the key

_USES = f"""
    SELECT session_id, verdict, val_bpb, delta, p_gain, json_extract(params, '$.{LESSONS}') AS lessons
    FROM experiments WHERE lessons IS NOT NULL AND verdict IS NOT NULL ORDER BY id
"""


@dataclass(frozen=True)
class LessonUse:
    """The lessons of one proposal that has a verdict."""

    session_id: int
    block: int  # of proposals, for which lessons are chosen together
    shown: frozenset[str]
    left_out: frozenset[str]
    kept: bool


def lesson_uses(ledger: Ledger) -> list[LessonUse]:
    """Return the uses in all sessions, without proposals that were never measured."""
    found = []
    for row in ledger.query(_USES):
        if not is_unmeasured(row["verdict"], row["val_bpb"], row["delta"], row["p_gain"]):
            lessons = json.loads(row["lessons"])
            shown, left_out = frozenset(lessons["shown"]), frozenset(lessons["left_out"])
            kept = row["verdict"] == "keep"
            found.append(LessonUse(row["session_id"], lessons["block"], shown, left_out, kept))
    return found


def expired_lessons(ledger: Ledger) -> set[str]:
    """Return the keys of the lessons that have expired once; a person may have brought them back since."""
    sql = f"SELECT json_extract(data, '$.lesson') AS lesson FROM events WHERE kind = '{EXPIRED}'"
    return {str(row["lesson"]) for row in ledger.query(sql)}
