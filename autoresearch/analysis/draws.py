"""Draws of a session for the judge, as they were measured and at equal speed of the machine."""

from collections.abc import Iterable, Sequence

from autoresearch import judge
from autoresearch.judge import Draw, SpeedEffect
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.scores import NumberedDraw, numbered_draws
from autoresearch.ledger.trials import FRESH

Draws = dict[int, list[Draw]]  # by the id of their experiment


def session_draws(store: Ledger, session: Session, purposes: Sequence[str]) -> Draws:
    """Return the draws of trials with these purposes, as they were measured."""
    return _group(numbered_draws(store, session.id), purposes)


def equal_speed_draws(store: Ledger, session: Session, purposes: Sequence[str]) -> Draws:
    """Return draws with their scores at equal speed, as far as the session shows how speed changes them."""
    found = numbered_draws(store, session.id)
    effect = _learn(session, found)
    return {id: effect.adjust(group) for id, group in _group(found, purposes).items()}


def speed_effect(store: Ledger, session: Session) -> SpeedEffect:
    """Return how the speed of the machine changes scores; the greedy rule compares raw numbers."""
    return _learn(session, numbered_draws(store, session.id))


def _learn(session: Session, found: Iterable[NumberedDraw]) -> SpeedEffect:
    return SpeedEffect() if session.judge == "greedy" else judge.learn_speed(list(_group(found, FRESH).values()))


def _group(found: Iterable[NumberedDraw], purposes: Sequence[str]) -> Draws:
    groups: Draws = {}
    for experiment_id, purpose, score, at, seed, speed in found:
        if purpose in purposes:
            groups.setdefault(experiment_id, []).append(Draw(score, at, seed, speed))
    return groups
