"""Compute verdicts from measurements by pure arithmetic (docs/judging.md)."""

from autoresearch.judge.beliefs import Beliefs, learn
from autoresearch.judge.curve_forecast import LOOKS, SCHEDULE, CurveForecast, Example, max_odds
from autoresearch.judge.curve_gap import Gap, LossCurve, curve_gap
from autoresearch.judge.level import ANCESTORS, Incumbent
from autoresearch.judge.limits import Spread, p_above
from autoresearch.judge.noise import MAX_EARLIER_DOF, Draw, Noise, difference, noise, p_below, p_below_zero
from autoresearch.judge.pool_odds import update_parts
from autoresearch.judge.power import POWER, smallest_gain
from autoresearch.judge.rules import (
    ALLOWANCE_SIGMA,
    RULES,
    SIMPLER_MODES,
    Decision,
    decide,
    hopeless_above,
    more_informative,
    p_better,
)
from autoresearch.judge.speed import SpeedEffect, learn_speed

__all__ = [
    "ALLOWANCE_SIGMA",
    "ANCESTORS",
    "LOOKS",
    "MAX_EARLIER_DOF",
    "POWER",
    "RULES",
    "SCHEDULE",
    "SIMPLER_MODES",
    "Beliefs",
    "CurveForecast",
    "Decision",
    "Draw",
    "Example",
    "Gap",
    "Incumbent",
    "LossCurve",
    "Noise",
    "SpeedEffect",
    "Spread",
    "curve_gap",
    "decide",
    "difference",
    "hopeless_above",
    "learn",
    "learn_speed",
    "max_odds",
    "more_informative",
    "noise",
    "p_above",
    "p_below",
    "p_below_zero",
    "p_better",
    "smallest_gain",
    "update_parts",
]
