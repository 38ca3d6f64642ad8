"""Compute verdicts from measurements by pure arithmetic (docs/judging.md)."""

from autoresearch.judge.beliefs import Beliefs, learn
from autoresearch.judge.level import ANCESTORS, Incumbent
from autoresearch.judge.noise import MAX_EARLIER_DOF, Draw, Noise, difference, noise, p_below_zero
from autoresearch.judge.rules import (
    ALLOWANCE_SIGMA,
    RULES,
    SIMPLER_MODES,
    Decision,
    decide,
    hopeless_above,
    more_informative,
)

__all__ = [
    "ALLOWANCE_SIGMA",
    "ANCESTORS",
    "MAX_EARLIER_DOF",
    "RULES",
    "SIMPLER_MODES",
    "Beliefs",
    "Decision",
    "Draw",
    "Incumbent",
    "Noise",
    "decide",
    "difference",
    "hopeless_above",
    "learn",
    "more_informative",
    "noise",
    "p_below_zero",
]
