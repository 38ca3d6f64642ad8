"""Trials in the screening pool of a session with two pools, and what they decided (docs/fleet.md)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from autoresearch.ledger.rows import ELSEWHERE, Session, Trial
from autoresearch.ledger.scores import newest_sigma
from autoresearch.ledger.store import Ledger

SCREENED = "screened"  # kind of the event of a candidate that was dropped or promoted
SCREENING_ENDS = "screening ends"  # kind of the event of a session whose screening pool no longer pays
DROPPED = "dropped by its prescreen"  # how the reason of such a discard begins

_DRAWS = """
    SELECT experiment_id, val_bpb, id, seed, json_extract(result, '$.identity') AS identity FROM trials
    WHERE session_id = :session AND outcome = 'ok' AND (purpose = 'reference'
      OR (purpose = 'prescreen' AND experiment_id = :experiment)) ORDER BY id
"""

_CONFIRMED = """
    SELECT n, delta, sigma, (SELECT count(*) FROM trials
      WHERE experiment_id = e.id AND outcome = 'ok' AND purpose IN ('rerun', 'filler')) AS reruns
    FROM experiments AS e WHERE session_id = :session AND state = 'settled' AND delta IS NOT NULL AND sigma > 0
"""

PoolDraw = tuple[int, float, int, int]  # id of the experiment, score, number, seed


@dataclass(frozen=True)
class Screened:
    """What a prescreen decided; `gain` and its `variance` are in the sigma of the screening pool."""

    n: int
    promoted: bool
    audited: bool  # it is confirmed although it would be dropped
    gain: float
    variance: float
    p_gain: float
    pool: str
    reason: str

    @property
    def is_confirmed(self) -> bool:
        return self.promoted or self.audited


def draws_in(ledger: Ledger, session: Session, identity: Mapping[str, object], experiment: int) -> list[PoolDraw]:
    """Return the good trials of incumbents in a pool, and that of one experiment; none of another pool."""
    rows = ledger.query(_DRAWS, session=session.id, experiment=experiment)
    found = ((row, json.loads(row["identity"] or "{}")) for row in rows)
    return [(row["experiment_id"], row["val_bpb"], row["id"], row["seed"]) for row, where in found if where == identity]


def screened_in(ledger: Ledger, session: Session, pool: str) -> list[Screened]:
    """Return what was decided in a pool, in order; the last decision of an experiment counts."""
    events = ledger.events(session.id, kind=SCREENED)
    found = {event.n: Screened(n=event.n or 0, **event.data) for event in events if event.data.get("pool") == pool}
    return list(found.values())


def dropped_gains(ledger: Ledger, session: Session) -> dict[int, float]:
    """Return the difference to expect of each dropped experiment: that of its own pool, in sigma, in this sigma."""
    sigma = newest_sigma(ledger, session) or 0.0
    events = ledger.events(session.id, kind=SCREENED)
    dropped = (event for event in events if not (event.data["promoted"] or event.data["audited"]))
    return {event.n: sigma * event.data["gain"] for event in dropped if event.n is not None}


def confirmed_gains(ledger: Ledger, session: Session) -> dict[int, tuple[float, int]]:
    """Return the difference in sigma of each experiment that was measured in the confirming pool, and its re-runs."""
    rows = ledger.query(_CONFIRMED, session=session.id)
    return {row["n"]: (row["delta"] / row["sigma"], row["reruns"]) for row in rows}


def elsewhere(trials: list[Trial], purpose: str, identity: Mapping[str, object]) -> list[Trial]:
    """Return the trials with a purpose that were completed in a pool."""
    done = (trial for trial in trials if trial.purpose == purpose and trial.outcome not in (None, "infra"))
    return [trial for trial in done if trial.result.get("identity") == identity]


def count_elsewhere(trials: list[Trial]) -> int:
    """Return how many trials were begun outside the pool that judges."""
    return sum(trial.purpose in ELSEWHERE for trial in trials)
