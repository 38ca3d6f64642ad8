"""The time that a base spent beside its budget: it limits the time of all later versions."""

from collections.abc import Iterable

from autoresearch.ledger.rows import Session, Trial
from autoresearch.ledger.store import Ledger
from autoresearch.ledger.trials import judging


def base_overhead(ledger: Ledger, session: Session, n: int) -> dict[str, float] | None:
    """Return what limits version `n` of a session: the most that trials of the human's base spent, by part.

    The base of a session that started from another one was written by that one's agent, so the earlier base limits it,
    if both were measured alike. None for the human's base itself, and before it was measured.
    """
    origin = _human_session(ledger, session)
    if n == 0 and origin.id == session.id:
        return None
    base = ledger.experiment(origin.id, 0)
    return _most_spent(ledger.trials(origin.id, base.id)) if base is not None else None


def _human_session(ledger: Ledger, session: Session) -> Session:
    """Return the first of the sessions from which a session started that were measured alike."""
    alike = (session.evaluator, session.identity, session.settings)
    while session.from_tag is not None:
        origin = ledger.session(session.from_tag)
        if origin is None or (origin.evaluator, origin.identity, origin.settings) != alike:
            break
        session = origin
    return session


def _most_spent(trials: Iterable[Trial]) -> dict[str, float] | None:
    """Return the most that good trials spent beside their budget, by part; None if there is none."""
    spent: list[dict[str, float]] = [
        each for trial in judging(trials) if trial.outcome == "ok" and (each := trial.result.get("spent"))
    ]
    return {part: max(each[part] for each in spent) for part in spent[0]} if spent else None
