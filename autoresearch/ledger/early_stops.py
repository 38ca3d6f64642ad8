"""Screenings that were stopped early, and checks of the rule: those that ran to their end all the same."""

from dataclasses import dataclass

from autoresearch.ledger.rows import STOPPED, Session
from autoresearch.ledger.store import Ledger

BEHIND = "behind"  # kind of the event of a screening whose curve said that it had lost

_CHECKS = f"""
    SELECT json_extract(data, '$.odds') AS odds, EXISTS (
      SELECT 1 FROM trials JOIN experiments AS e ON e.id = experiment_id
      WHERE e.session_id = :session AND e.n = events.n AND (purpose = 'rerun' OR e.verdict = 'keep')
    ) AS is_wrong
    FROM events WHERE session_id = :session AND kind = '{BEHIND}' AND json_extract(data, '$.ran_on') ORDER BY id
"""

_TIMES = f"""
    SELECT count(*) FILTER (WHERE outcome = '{STOPPED}') AS stopped,
           coalesce(sum(ended - started) FILTER (WHERE outcome = '{STOPPED}'), 0.0) AS spent,
           coalesce(avg(ended - started) FILTER (WHERE outcome = 'ok'), 0.0) AS whole
    FROM trials INDEXED BY trials_briefly WHERE session_id = :session AND purpose = 'screen'
"""


@dataclass(frozen=True)
class EarlyStops:
    """Early stops of a session; a check is wrong if its whole screening earned a re-run."""

    stopped: int
    saved_s: float  # against the mean screening that ran to its end
    checks: int
    wrong: int


def early_stops(ledger: Ledger, session: Session) -> EarlyStops:
    times, found = ledger.query(_TIMES, session=session.id)[0], checks(ledger, session.id)
    saved = times["stopped"] * times["whole"] - times["spent"]
    return EarlyStops(times["stopped"], max(0.0, saved), len(found), sum(is_wrong for _, is_wrong in found))


def checks(ledger: Ledger, session_id: int) -> list[tuple[float, bool]]:
    """Return the odds of each check, and whether the stop would have been wrong."""
    return [(row["odds"], bool(row["is_wrong"])) for row in ledger.query(_CHECKS, session=session_id)]


def forecasts(ledger: Ledger, session_id: int) -> dict[int, float]:
    """Return the forecast difference (bits per byte) of each experiment whose curve said that it had lost."""
    events = ledger.events(session_id, kind=BEHIND)
    return {event.n: float(event.data["delta"]) for event in events if event.n is not None}
