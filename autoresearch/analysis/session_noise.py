"""The noise of one trial as a session knows it: what is measured after the loop is judged by it too."""

from autoresearch import judge
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.scores import newest_sigma, numbered_draws
from autoresearch.ledger.trials import FRESH


def session_noise(store: Ledger, session: Session) -> tuple[float, float] | None:
    """Return the newest sigma of a session, in bits per byte, and its degrees of freedom; None before the base."""
    sigma = newest_sigma(store, session)
    if sigma is None:
        return None
    draws: dict[int, list[judge.Draw]] = {}
    for experiment_id, purpose, score, at, seed in numbered_draws(store, session.id):
        if purpose in FRESH:
            draws.setdefault(experiment_id, []).append(judge.Draw(score, at, seed))
    return sigma, judge.noise(list(draws.values())).dof
