"""What candidates tell about the level of their incumbent, and what more draws are worth."""

import random
from statistics import fmean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch import judge
from autoresearch.judge import Beliefs, Draw, Incumbent, Noise, difference
from autoresearch.judge.noise import STEADY, NoiseModel, WeightedModel
from autoresearch.judge.value import Estimate, gain_of_draws, value_of_certainty, value_of_keep

SIGMA = 0.01
KNOWN = Noise(SIGMA, 30.0, (WeightedModel(STEADY, 1.0, SIGMA),))
EFFECTS = [0.0, 0.4, 3.0, 0.0, -0.3, 1.5, 0.2, 6.0, 0.0, 0.1, 2.0, 0.0]  # of candidates, in sigma

deltas, errors, costs = st.floats(-30, 30), st.floats(0.1, 3), st.floats(0, 20)


def candidates(level: float, rng: random.Random) -> list[list[Draw]]:
    return [[Draw(level + SIGMA * (each + rng.gauss(0, 1)), k + 2)] for k, each in enumerate(EFFECTS)]


def level_of(draws: list[Draw]) -> float:
    """Return the weighted mean of an incumbent's draws, from its difference to a draw at 0."""
    return -difference([Draw(0.0, 99)], draws, KNOWN.models[0])[0]


def test_candidates_correct_a_lucky_incumbent() -> None:
    lucky = Incumbent([Draw(1.0 - 2 * SIGMA, 1)], candidates=candidates(1.0, random.Random(1)))
    known = lucky.with_summary(KNOWN, Beliefs())
    assert len(known) == 2 and known[-1].variance < 0.5
    assert abs(level_of(known) - 1.0) < SIGMA < abs(level_of([*lucky.fresh]) - 1.0)


def test_the_level_is_closer_on_average_and_not_biased() -> None:
    rng = random.Random(2)
    worlds = [Incumbent([Draw(rng.gauss(1, SIGMA), 1)], (), candidates(1.0, rng)) for _ in range(100)]
    errors = [level_of(world.with_summary(KNOWN, Beliefs())) - 1.0 for world in worlds]
    assert stdev(errors) < 0.6 * SIGMA and abs(fmean(errors)) < 0.25 * SIGMA


def test_the_version_before_tells_about_a_keep() -> None:
    """A keep that scores far above the version before it was unlucky: it had a gain."""
    base = Incumbent([Draw(1.0, k) for k in range(9)])
    kept = Incumbent([Draw(0.99, 10)], [Draw(0.95, 9)], parent=base)
    alone = Incumbent([Draw(0.99, 10)], [Draw(0.95, 9)])
    assert level_of(kept.with_summary(KNOWN, Beliefs())) > level_of(alone.with_summary(KNOWN, Beliefs()))


def test_a_selecting_draw_that_the_fresh_ones_contradict_does_not_count() -> None:
    fresh = [Draw(1.0, 1), Draw(1.001, 2)]
    assert level_of(Incumbent(fresh, [Draw(0.98, 0)]).with_summary(KNOWN, Beliefs())) < 0.995
    assert Incumbent(fresh, [Draw(0.1, 0)]).with_summary(KNOWN, Beliefs()) == fresh
    assert level_of(Incumbent([], [Draw(0.1, 0)]).with_summary(KNOWN, Beliefs())) == pytest.approx(0.1)


def test_an_incumbent_without_others_has_its_own_draws_only() -> None:
    fresh = [Draw(1.0, 1), Draw(1.001, 2)]
    assert Incumbent(fresh).with_summary(KNOWN, Beliefs()) == fresh
    assert Incumbent(fresh, candidates=[[Draw(1.0, 3)]]).with_summary(Noise(1e-6, 0.0, ()), Beliefs()) == fresh


def test_on_a_drifting_machine_an_old_summary_counts_for_little() -> None:
    drift = WeightedModel(NoiseModel(level=2.0, memory=10.0), 1.0, SIGMA)
    candidate, old = [Draw(0.98, 100)], [Draw(1.0, 5, variance=0.1)]
    assert difference(candidate, old, drift)[1] > 2 * difference(candidate, old, KNOWN.models[0])[1]


@given(deltas, errors, st.floats(0.1, 0.99), st.floats(0, 9), costs, st.booleans())
def test_more_draws_never_make_a_decision_worse(
    delta: float, error: float, left: float, more: float, wrong_keep: float, may_keep: bool
) -> None:
    now, beliefs = Estimate(delta, error, 20.0), Beliefs()
    gain = gain_of_draws(beliefs, now, left * error, now.dof + more, wrong_keep, may_keep=may_keep)
    worth_now = max(value_of_keep(beliefs, now, wrong_keep), 0.0) if may_keep else 0.0
    more_than_certainty = gain - (value_of_certainty(beliefs, now) - worth_now)
    assert gain >= -1e-9
    assert more_than_certainty <= 0.35  # the likelihood is that of Student's t, and a move is normal


@pytest.mark.parametrize(("delta", "worth"), [(-20.0, False), (-1.5, True), (6.0, False)])
@pytest.mark.parametrize("dof", [2.0, 20.0])
def test_draws_are_worth_most_where_the_verdict_is_open(delta: float, worth: bool, dof: float) -> None:
    gain = gain_of_draws(Beliefs(), Estimate(delta, 0.8, dof), 0.6, dof + 1, 2.0)
    assert (gain > 0.03) is worth


def test_where_the_noise_is_hardly_known_a_promising_screening_gets_a_re_run() -> None:
    """Three trials of a base, one of them off: a draw also tells about the noise."""
    base = [Draw(score, at) for at, score in enumerate((2.0145, 1.9991, 2.0616))]
    beliefs = judge.learn([(5.5, 0.013)])  # one idea was measured before, and lost
    decision = judge.decide("default", [Draw(1.9611, 5)], base, judge.noise([base]), beliefs)
    assert decision.action == "run_again" and decision.p_gain > 0.3
