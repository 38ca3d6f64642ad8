"""The noise of one trial, as a session knows it now, and as earlier sessions on the same machine have measured it."""

import math
from collections.abc import Mapping

from autoresearch import judge
from autoresearch.analysis.draws import equal_speed_draws, session_draws
from autoresearch.analysis.measured_noise import read_noise
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.scores import newest_sigma
from autoresearch.ledger.trials import FRESH


def session_noise(store: Ledger, session: Session) -> tuple[float, float] | None:
    """Return the newest sigma of a session, on the scale, and its degrees of freedom; None before the base."""
    sigma = newest_sigma(store, session)
    return None if sigma is None else (sigma, _noise(store, session).dof)


def raw_noise(store: Ledger, session: Session) -> tuple[float, float] | None:
    """Return the same for scores as they were measured, which the speed of the machine may spread further."""
    known = session_noise(store, session)
    if known is None:
        return None
    return max(known[0], judge.noise(list(session_draws(store, session, FRESH).values())).sigma), known[1]


def comparable_sessions(
    store: Ledger, identity: Mapping[str, object], settings: Mapping[str, object], without: int | None = None
) -> list[Session]:
    """Return the sessions with this identity and these settings, but the one whose id is `without`."""
    alike = [each for each in store.sessions() if (each.identity, each.settings) == (identity, settings)]
    return [each for each in alike if each.id != without]


def earlier_noise(
    store: Ledger, identity: Mapping[str, object], settings: Mapping[str, object], without: int | None = None
) -> tuple[float, float] | None:
    """Return sigma and its degrees of freedom from comparable sessions and from `init`, if they are known."""
    noises = [_noise(store, each) for each in comparable_sessions(store, identity, settings, without)]
    known = [(noise.sigma, noise.dof) for noise in noises]
    if (measured := read_noise(store.path.parent, identity, settings)) is not None:
        known.append(measured)
    dof = sum(dof for _, dof in known)
    return (math.sqrt(sum(sigma**2 * each for sigma, each in known) / dof), dof) if dof else None


def _noise(store: Ledger, session: Session) -> judge.Noise:
    """Estimate the noise from all draws of a session that did not select what they measure."""
    return judge.noise(list(equal_speed_draws(store, session, FRESH).values()))
