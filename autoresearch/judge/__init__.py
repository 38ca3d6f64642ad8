"""Compute verdicts from measurements by pure arithmetic (docs/judging.md)."""

from autoresearch.judge.archive import MEASURE_EVERY, PLATEAU_PROPOSALS, Archive, ArchivedVersion
from autoresearch.judge.beliefs import Beliefs, learn
from autoresearch.judge.changing_noise import Squares, newest_noise
from autoresearch.judge.curve_forecast import LOOKS, SCHEDULE, CurveForecast, Example, max_odds
from autoresearch.judge.curve_gap import Gap, LossCurve, curve_gap
from autoresearch.judge.exact import decide_exact
from autoresearch.judge.level import ANCESTORS, Incumbent
from autoresearch.judge.limit_odds import Spread, p_above
from autoresearch.judge.noise import MAX_EARLIER_DOF, Draw, Noise, difference, noise, p_below, p_below_zero
from autoresearch.judge.pool_agreement import (
    AUDITED_SHARE,
    CORRELATIONS,
    STOP_PROBABILITY,
    Costs,
    GainPair,
    break_even,
    correlation_weights,
    p_too_low,
    recall,
    true_spread,
)
from autoresearch.judge.pool_odds import update_parts
from autoresearch.judge.power import POWER, smallest_gain
from autoresearch.judge.rates import rate_noise, seed_noise, task_error, typical_error
from autoresearch.judge.rules import (
    ALLOWANCE_SIGMA,
    RULES,
    SIMPLER_MODES,
    Decision,
    decide,
    hopeless_above,
    more_informative,
    p_better,
    rule_for,
)
from autoresearch.judge.speed import SpeedEffect, learn_speed

__all__ = [
    "ALLOWANCE_SIGMA",
    "ANCESTORS",
    "AUDITED_SHARE",
    "CORRELATIONS",
    "LOOKS",
    "MAX_EARLIER_DOF",
    "MEASURE_EVERY",
    "PLATEAU_PROPOSALS",
    "POWER",
    "RULES",
    "SCHEDULE",
    "SIMPLER_MODES",
    "STOP_PROBABILITY",
    "Archive",
    "ArchivedVersion",
    "Beliefs",
    "Costs",
    "CurveForecast",
    "Decision",
    "Draw",
    "Example",
    "GainPair",
    "Gap",
    "Incumbent",
    "LossCurve",
    "Noise",
    "SpeedEffect",
    "Spread",
    "Squares",
    "break_even",
    "correlation_weights",
    "curve_gap",
    "decide",
    "decide_exact",
    "difference",
    "hopeless_above",
    "learn",
    "learn_speed",
    "max_odds",
    "more_informative",
    "newest_noise",
    "noise",
    "p_above",
    "p_below",
    "p_below_zero",
    "p_better",
    "p_too_low",
    "rate_noise",
    "recall",
    "rule_for",
    "seed_noise",
    "smallest_gain",
    "task_error",
    "true_spread",
    "typical_error",
    "update_parts",
]
