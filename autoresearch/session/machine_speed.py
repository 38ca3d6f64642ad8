"""Trials on cores that other programs slowed: how much slower they were, and what is said about it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import fmean

from autoresearch.analysis.draws import session_draws
from autoresearch.judge import Draw, SpeedEffect
from autoresearch.ledger import Ledger, Session

TOLD_SHARE = 0.1  # cores that are slower by more than this are told
REPEATED_SHARE = 0.15  # a screening on cores that were slower by more than this is not the last word
TOLD_SIGMA = 0.1  # a verdict tells a difference of speed that is worth more than this
CREDIT_ERRORS = 2.0  # standard errors by which speed may matter more than is known


def slower_by(draws: Sequence[Draw], others: Sequence[Draw]) -> float:
    """Return the share by which cores were slower than beside other draws; 0 where the speed is not known."""
    ours, theirs = _log_speed(draws), _log_speed(others)
    return 0.0 if ours is None or theirs is None else 1 - math.exp(ours - theirs)


def slower_than_base(ledger: Ledger, session: Session, speed: float | None) -> float:
    """Return the share by which cores of this speed are slower than beside the first trials of the base."""
    base = next(iter(session_draws(ledger, session, ("base",)).values()), [])
    return slower_by([Draw(0.0, 0, speed=speed)], base)


def may_be_spoiled(
    draws: Sequence[Draw], rival: Sequence[Draw], effect: SpeedEffect, discards: Callable[[Sequence[Draw]], bool]
) -> bool:
    """Return whether a candidate has one draw, on much slower cores, and is discarded for want of a better one.

    It is not if it is discarded even where speed matters as much as the draws leave possible.
    """
    slower = slower_by(draws, rival)
    if len(draws) != 1 or slower <= REPEATED_SHARE or not discards(draws):
        return False
    more = CREDIT_ERRORS * effect.error * math.log(1 - slower)
    return not effect.is_known or not discards([replace(draws[0], score=draws[0].score + more)])


def describe_adjustment(draws: Sequence[Draw], others: Sequence[Draw], effect: SpeedEffect, sigma: float) -> str:
    """Return the end of a verdict's reason, where the difference of speed matters for it."""
    slower = slower_by(draws, others)
    if abs(effect.slope * math.log(1 - slower)) <= TOLD_SIGMA * sigma:
        return ""
    return f" at equal speed (the cores were {describe_slowdown(slower)})"


def describe_slowdown(slower: float) -> str:
    return f"{abs(slower):.0%} {'slower' if slower > 0 else 'faster'}".replace("%", " %")


def _log_speed(draws: Sequence[Draw]) -> float | None:
    speeds = [math.log(draw.speed) for draw in draws if draw.speed]
    return fmean(speeds) if speeds else None
