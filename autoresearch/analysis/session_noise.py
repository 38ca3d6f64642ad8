"""The noise of one trial, as a session knows it now, and as earlier sessions on the same machine have measured it."""

import math
from collections.abc import Mapping

from autoresearch import judge
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.scores import newest_sigma, numbered_draws
from autoresearch.ledger.trials import FRESH


def session_noise(store: Ledger, session: Session) -> tuple[float, float] | None:
    """Return the newest sigma of a session, in bits per byte, and its degrees of freedom; None before the base."""
    sigma = newest_sigma(store, session)
    return None if sigma is None else (sigma, _noise(store, session.id).dof)


def earlier_noise(
    store: Ledger, identity: Mapping[str, object], settings: Mapping[str, object], without: int | None = None
) -> tuple[float, float] | None:
    """Return sigma and its degrees of freedom from the sessions with this identity and these settings, if any.

    `without` is the id of a session that does not count.
    """
    comparable = [each for each in store.sessions() if (each.identity, each.settings) == (identity, settings)]
    noises = [_noise(store, each.id) for each in comparable if each.id != without]
    squares, dof = sum(noise.sigma**2 * noise.dof for noise in noises), sum(noise.dof for noise in noises)
    return (math.sqrt(squares / dof), dof) if dof else None


def _noise(store: Ledger, session_id: int) -> judge.Noise:
    """Estimate the noise from all draws of a session that did not select what they measure."""
    draws: dict[int, list[judge.Draw]] = {}
    for experiment_id, purpose, score, at, seed in numbered_draws(store, session_id):
        if purpose in FRESH:
            draws.setdefault(experiment_id, []).append(judge.Draw(score, at, seed))
    return judge.noise(list(draws.values()))
