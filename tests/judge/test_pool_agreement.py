"""Whether screening on one kind of card pays for another, against simulation."""

import math
import random

import numpy as np
import pytest

from autoresearch.judge import (
    CORRELATIONS,
    Costs,
    GainPair,
    break_even,
    correlation_weights,
    p_too_low,
    recall,
    true_spread,
)

SPREAD, VARIANCE = 3.0, 4 / 3  # of true gains in sigma; of a prescreen and three trials of its incumbent
CONFIRM_VARIANCE = 0.8


def simulate(correlation: float, seed: int, count: int = 150) -> tuple[list[float], list[GainPair]]:
    """Return all screened gains, and pairs of those that were confirmed: the promoted, and one in twenty others."""
    rng, screened, pairs = random.Random(seed), list[float](), list[GainPair]()
    for n in range(count):
        true = rng.gauss(0, SPREAD)
        there = correlation * true + math.sqrt(1 - correlation**2) * rng.gauss(0, SPREAD) + 1
        gain = true + 1 + rng.gauss(0, math.sqrt(VARIANCE))
        screened.append(gain)
        if gain < -0.8 or n % 20 == 0:
            measured = there + rng.gauss(0, math.sqrt(CONFIRM_VARIANCE))
            pairs.append(GainPair(gain, VARIANCE, measured, CONFIRM_VARIANCE))
    return screened, pairs


@pytest.mark.parametrize(("correlation", "low", "high"), [(1.0, 0.85, 1.0), (0.5, 0.25, 0.7), (0.0, 0.0, 0.35)])
def test_the_correlation_is_found_although_the_best_are_confirmed_more_often(
    correlation: float, low: float, high: float
) -> None:
    found = []
    for seed in range(12):
        screened, pairs = simulate(correlation, seed)
        found.append(float(correlation_weights(pairs, true_spread(screened, VARIANCE)) @ CORRELATIONS))
    assert low <= float(np.mean(found)) <= high


def test_without_a_pair_nothing_is_known() -> None:
    weights = correlation_weights([], SPREAD)
    assert weights == pytest.approx(np.full(len(CORRELATIONS), 1 / len(CORRELATIONS)))
    assert p_too_low(weights, math.inf) == pytest.approx(1.0) and p_too_low(weights, 0.0) == 0.0


@pytest.mark.parametrize("correlation", [0.0, 0.4, 0.8])
def test_the_share_of_usual_gains_that_are_promoted_is_that_of_a_simulation(correlation: float) -> None:
    rng = np.random.default_rng(4)
    count, share = 200_000, 0.2
    true = rng.normal(0, SPREAD, count)
    screened = true + rng.normal(0, math.sqrt(VARIANCE), count)
    bound = np.quantile(screened, share)
    of_gain = -3.0 * correlation + rng.normal(0, SPREAD * math.sqrt(1 - correlation**2), count)
    promoted = np.mean(of_gain + rng.normal(0, math.sqrt(VARIANCE), count) <= bound)
    assert recall(correlation, share, SPREAD, VARIANCE) == pytest.approx(float(promoted), abs=0.01)


def test_screening_needs_more_agreement_the_less_it_speeds_up_and_never_pays_with_few_slots() -> None:
    many, some, few = (Costs(slots, 3, promoted=0.2, confirming_trials=2.0) for slots in (13, 5, 2))
    assert many.speed_up == pytest.approx(2.5) and some.speed_up == pytest.approx(2.0) and few.speed_up < 1
    least = [break_even(costs, SPREAD, VARIANCE) for costs in (many, some, few)]
    assert 0 < least[0] < least[1] < 1 and least[2] == math.inf
