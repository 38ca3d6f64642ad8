"""The arithmetic of fillers: trials that end early for a reason other than their score bias nothing."""

from collections.abc import Callable
from statistics import fmean

import numpy as np
import pytest

from autoresearch import judge
from autoresearch.judge import Beliefs, Draw, Noise
from autoresearch.judge.beliefs import EFFECTS
from autoresearch.judge.noise import STEADY, WeightedModel

SIGMA = 0.01
KNOWN = Noise(SIGMA, 1000.0, (WeightedModel(STEADY, 1.0, SIGMA),))
INCUMBENT = [Draw(1.0, k) for k in range(12)]
NEAR_MISS = [-2.0, -1.9, 0.7, -1.9, 0.7]  # sigma, a screening and its re-runs: too close to call
MAX_DRAWS = 9  # of a near miss, as in session/fillers.py
RUNS = 1000

IsCutShort = Callable[[float], bool]  # whether a filler ends early, by what it would have scored in sigma


def simulate(is_cut_short: IsCutShort, rng: np.random.Generator) -> tuple[float, float]:
    """Give one near miss its fillers, in many possible worlds; return how often a keep is a gain, and its mean odds.

    The true effect of a world has its posterior distribution, given what was measured before.
    """
    effects = rng.choice(EFFECTS, RUNS, p=posterior()) * rng.uniform(0.95, 1.05, RUNS)
    kept = [(effect < 0, odds) for effect in effects if (odds := fill(float(effect), is_cut_short, rng)) is not None]
    assert len(kept) > 30
    return fmean(gain for gain, _ in kept), fmean(odds for _, odds in kept)


def posterior() -> np.ndarray:
    """Return the probability of each effect by Bayes' rule, for a normal likelihood."""
    variance = 1 / len(NEAR_MISS) + 1 / len(INCUMBENT)
    spread = variance + (0.05 * EFFECTS) ** 2
    weights = Beliefs().effects * np.exp(-((fmean(NEAR_MISS) - EFFECTS) ** 2) / 2 / spread) / np.sqrt(spread)
    return np.asarray(weights / weights.sum())


def fill(effect: float, is_cut_short: IsCutShort, rng: np.random.Generator) -> float | None:
    """Return the odds of a keep, which one more re-run has confirmed; None if it is not kept."""
    draws = [Draw(1 + SIGMA * each, len(INCUMBENT) + k) for k, each in enumerate(NEAR_MISS)]
    while len(draws) < MAX_DRAWS:
        score = effect + float(rng.standard_normal())
        if is_cut_short(score):
            continue
        decision = decide(draws, score)
        if decision.action == "keep":
            decision = decide(draws, effect + float(rng.standard_normal()))
            return decision.p_gain if decision.action == "keep" else None
    return None


def decide(draws: list[Draw], score: float) -> judge.Decision:
    draws.append(Draw(1 + SIGMA * score, len(INCUMBENT) + len(draws)))
    return judge.decide("default", draws, INCUMBENT, KNOWN)


def test_the_example_is_a_near_miss_that_is_worth_a_look() -> None:
    draws = [Draw(1 + SIGMA * each, len(INCUMBENT) + k) for k, each in enumerate(NEAR_MISS)]
    decision = judge.decide("default", draws, INCUMBENT, KNOWN)
    assert decision.action == "discard" and 0.25 <= decision.p_gain < 0.6


@pytest.mark.slow
def test_what_fillers_keep_is_a_gain_as_often_as_the_judge_says() -> None:
    """Bayes' rule holds however often one looks, and whatever is left out for a reason other than its score."""
    rng = np.random.default_rng(5)
    gains, odds = simulate(lambda score: bool(rng.random() < 0.5), rng)
    assert gains > odds  # the likelihood of the judge has heavier tails than these scores: it is careful


@pytest.mark.slow
def test_a_near_miss_without_an_effect_is_hardly_ever_kept() -> None:
    """More looks are more chances, but the odds have to be reached, and then a re-run has to confirm them."""
    rng = np.random.default_rng(5)
    kept = sum(fill(0.0, lambda score: bool(rng.random() < 0.5), rng) is not None for _ in range(RUNS))
    assert kept / RUNS < 0.03


def test_the_mean_of_what_was_not_cut_short_is_the_mean_of_all() -> None:
    """Long trials are cut short more often than short ones: that is no bias while length and score are unrelated.

    It would be one if a good score led to a trial on the holdout, or if a bad one were not audited.
    """
    rng = np.random.default_rng(5)
    scores, lengths, latency = rng.standard_normal(40_000), rng.uniform(15, 21, 40_000), rng.exponential(20, 40_000)
    ended = lengths < latency
    error = 1 / ended.sum() ** 0.5
    assert 0.2 < ended.mean() < 0.6 and abs(scores[ended].mean()) < 3 * error
    related = lengths - 2 * scores
    assert abs(scores[related < latency].mean()) > 3 * error
