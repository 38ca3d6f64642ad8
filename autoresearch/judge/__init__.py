"""Compute verdicts from measurements by pure arithmetic (docs/judging.md)."""

from autoresearch.judge.beliefs import Beliefs, learn
from autoresearch.judge.noise import MAX_EARLIER_DOF, Draw, Noise, difference, noise, p_below_zero
from autoresearch.judge.pooling import update_parts
from autoresearch.judge.power import POWER, smallest_gain
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
    "MAX_EARLIER_DOF",
    "POWER",
    "RULES",
    "SIMPLER_MODES",
    "Beliefs",
    "Decision",
    "Draw",
    "Noise",
    "decide",
    "difference",
    "hopeless_above",
    "learn",
    "more_informative",
    "noise",
    "p_below_zero",
    "smallest_gain",
    "update_parts",
]
