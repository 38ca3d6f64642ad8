"""The gain that a rule keeps with a probability of 80 %."""

import random
from statistics import fmean

import pytest

from autoresearch import judge
from autoresearch.judge import Draw, Noise
from autoresearch.judge.noise import STEADY, WeightedModel

SIGMA, REPLICATES, CANDIDATES = 0.003, 3, 300


def noise(sigma: float = SIGMA, dof: float = 8.0) -> Noise:
    return Noise(sigma, dof, (WeightedModel(STEADY, 1.0, sigma),))


def keeps(rule: str, gain: float, rng: random.Random) -> bool:
    """Judge one candidate whose scores are drawn here, and not by the program."""
    incumbent = [Draw(rng.gauss(2.0, SIGMA), at) for at in range(REPLICATES)]
    candidate = [Draw(rng.gauss(2.0 - gain, SIGMA), REPLICATES)]
    for at in range(REPLICATES + 1, 99):
        action = judge.decide(rule, candidate, incumbent, noise()).action
        if action == "compare":
            incumbent.append(Draw(rng.gauss(2.0, SIGMA), at))
        elif action == "run_again":
            candidate.append(Draw(rng.gauss(2.0 - gain, SIGMA), at))
        else:
            break
    return action == "keep"


@pytest.mark.slow
@pytest.mark.parametrize("rule", ["default", "strict", "greedy"])
def test_the_gain_is_kept_four_times_out_of_five(rule: str) -> None:
    gain, rng = judge.smallest_gain(rule, noise(), REPLICATES), random.Random(3)
    kept = fmean(keeps(rule, gain, rng) for _ in range(CANDIDATES))
    assert kept == pytest.approx(judge.POWER, abs=0.1)  # four standard errors


@pytest.mark.slow
def test_the_gain_is_in_units_of_the_noise_and_always_the_same() -> None:
    gain = judge.smallest_gain("default", noise(), REPLICATES)
    assert judge.smallest_gain("default", noise(2 * SIGMA), REPLICATES) == pytest.approx(2 * gain)
    assert judge.smallest_gain("default", noise(), REPLICATES) == gain


@pytest.mark.slow
def test_a_careful_rule_and_a_noise_that_is_hardly_known_can_show_less() -> None:
    gain = judge.smallest_gain("default", noise(), REPLICATES)
    assert judge.smallest_gain("strict", noise(), REPLICATES) > gain
    assert judge.smallest_gain("default", noise(dof=2.0), REPLICATES) > gain
    assert judge.smallest_gain("default", noise(), 12) <= gain
