"""The noise of one trial as a session knows it: what is measured after the loop is judged by it too."""

from autoresearch import judge
from autoresearch.analysis.draws import equal_speed_draws, session_draws
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.scores import newest_sigma
from autoresearch.ledger.trials import FRESH


def session_noise(store: Ledger, session: Session) -> tuple[float, float] | None:
    """Return the newest sigma of a session, in bits per byte, and its degrees of freedom; None before the base."""
    sigma = newest_sigma(store, session)
    if sigma is None:
        return None
    return sigma, judge.noise(list(equal_speed_draws(store, session, FRESH).values())).dof


def raw_noise(store: Ledger, session: Session) -> tuple[float, float] | None:
    """Return the same for scores as they were measured, which the speed of the machine may spread further."""
    known = session_noise(store, session)
    if known is None:
        return None
    return max(known[0], judge.noise(list(session_draws(store, session, FRESH).values())).sigma), known[1]
