"""Compute verdicts from measurements by pure arithmetic (docs/judging.md)."""

from autoresearch.judge.beliefs import Beliefs, learn
from autoresearch.judge.curve_forecast import LOOKS, SCHEDULE, CurveForecast, Example, max_odds
from autoresearch.judge.curve_gap import Gap, LossCurve, curve_gap
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
    "LOOKS",
    "MAX_EARLIER_DOF",
    "RULES",
    "SCHEDULE",
    "SIMPLER_MODES",
    "Beliefs",
    "CurveForecast",
    "Decision",
    "Draw",
    "Example",
    "Gap",
    "LossCurve",
    "Noise",
    "curve_gap",
    "decide",
    "difference",
    "hopeless_above",
    "learn",
    "max_odds",
    "more_informative",
    "noise",
    "p_below_zero",
]
