"""Draws of a session for the judge, on the scale of its metric, as they were measured and at equal speed.

How much speed matters is learned from the incumbent's repeated trials alone: versions differ in it, and the slope of a
network that trains to the bell gave a table of counts, which does not, differences with the wrong sign.
"""

from collections.abc import Iterable, Sequence

from autoresearch import judge
from autoresearch.judge import Draw, SpeedEffect
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.scores import NumberedDraw, numbered_draws
from autoresearch.ledger.trials import FRESH

Draws = dict[int, list[Draw]]  # by the id of their experiment


def session_draws(store: Ledger, session: Session, purposes: Sequence[str]) -> Draws:
    """Return the draws of trials with these purposes, as they were measured."""
    return _group(_on_scale(store, session), purposes)


def equal_speed_draws(store: Ledger, session: Session, purposes: Sequence[str]) -> Draws:
    """Return draws with their scores at equal speed, as far as the session shows how speed changes them."""
    found = _on_scale(store, session)
    effect = _learn(store, session, found)
    return {id: effect.adjust(group) for id, group in _group(found, purposes).items()}


def speed_effect(store: Ledger, session: Session) -> SpeedEffect:
    """Return how the speed of the machine changes scores; the greedy rule compares raw numbers."""
    return _learn(store, session, _on_scale(store, session))


def _on_scale(store: Ledger, session: Session) -> list[NumberedDraw]:
    """Return the draws of the ledger, which are raw, on the scale of the judge."""
    to_scale = session.metric.to_scale
    found = numbered_draws(store, session.id)
    return [(id, purpose, to_scale(raw), at, seed, speed) for id, purpose, raw, at, seed, speed in found]


def _learn(store: Ledger, session: Session, found: Iterable[NumberedDraw]) -> SpeedEffect:
    keeps = [] if session.judge == "greedy" else store.experiments(session.id, verdict="keep")
    return judge.learn_speed([_group(found, FRESH).get(keeps[-1].id, [])]) if keeps else SpeedEffect()


def _group(found: Iterable[NumberedDraw], purposes: Sequence[str]) -> Draws:
    groups: Draws = {}
    for experiment_id, purpose, score, at, seed, speed in found:
        if purpose in purposes:
            groups.setdefault(experiment_id, []).append(Draw(score, at, seed, speed))
    return groups
