"""Verdicts are arithmetic: never kept on the draw that selected, never against the best draw."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autoresearch import judge
from autoresearch.judge import Noise

KNOWN = Noise(0.001, 30)
INCUMBENT = [1.0, 1.001, 0.999]
scores = st.floats(0.9, 1.1)


def test_not_better_is_discarded_after_one_trial() -> None:
    assert judge.decide("default", [1.0005], INCUMBENT, KNOWN).near_miss
    assert judge.decide("default", [1.01], INCUMBENT, KNOWN) == judge.decide("default", [1.01], INCUMBENT, KNOWN)
    assert judge.decide("default", [1.01], INCUMBENT, KNOWN).action == "discard"


def test_fresh_draws_decide_and_the_selecting_one_is_forgotten() -> None:
    assert judge.decide("default", [0.9], INCUMBENT, KNOWN).action == "run_again"
    assert judge.decide("default", [0.9, 0.99], INCUMBENT, KNOWN).action == "compare"
    fluke = judge.decide("default", [0.9, 1.0], INCUMBENT, KNOWN)
    assert (fluke.action, fluke.near_miss) == ("discard", True)
    assert fluke.delta == pytest.approx(0.0)
    assert not judge.decide("default", [0.9, 1.002], INCUMBENT, KNOWN).near_miss  # two sigma behind: nothing near


def test_what_hardly_looks_better_is_let_go() -> None:
    hardly = judge.decide("default", [0.9996], INCUMBENT, KNOWN)
    assert (hardly.action, hardly.near_miss) == ("discard", True) and "hardly better" in hardly.reason


def test_the_incumbent_in_turns_with_it_decides() -> None:
    def asked(candidate: list[float], beside: list[float]) -> str:
        return judge.decide("default", [0.9, *candidate], INCUMBENT, KNOWN, beside).action

    assert asked([0.99], [1.0]) == "run_again"  # one pair is never enough
    assert asked([0.99, 0.991], [1.0]) == "compare"
    assert asked([0.99, 0.991], [1.0, 1.001]) == "keep"
    assert judge.decide("default", [0.9, 0.99, 0.991], INCUMBENT, KNOWN, [1.0, 1.001]).delta == pytest.approx(-0.01)
    faster = judge.decide("default", [0.9, 0.99], INCUMBENT, KNOWN, [0.9895])  # the machine is another one now
    assert (faster.action, faster.near_miss) == ("discard", True)
    close = [0.9992] * judge.MAX_FRESH
    assert [asked(close[:k], [1.0] * k) for k in (2, 3, 4)] == ["run_again", "run_again", "discard"]


def test_noise_that_is_hardly_known_makes_careful() -> None:
    draws, beside = [0.9, 0.998, 0.998], [1.0, 1.0]
    assert judge.decide("default", draws, INCUMBENT, Noise(0.001, 60), beside).action == "keep"
    assert judge.decide("default", draws, INCUMBENT, Noise(0.001, 2), beside).action == "run_again"


def test_probabilities_are_students() -> None:
    for dof, t in ((2, 6.965), (5, 3.365), (30, 2.457)):  # 99 % points of the table
        assert judge.p_below_zero(-t, 1.0, dof) == pytest.approx(0.99, abs=0.003)
    assert judge.p_below_zero(1.0, 1.0, 10) == pytest.approx(1 - judge.p_below_zero(-1.0, 1.0, 10))


def test_greedy_keeps_any_lower_number() -> None:
    assert judge.decide("greedy", [0.9989], [1.0, 0.999], Noise(0.01, 2)).action == "keep"
    assert judge.decide("greedy", [0.9995], [1.0, 0.999], Noise(0.01, 2)).action == "discard"


def test_noise_is_pooled_over_versions() -> None:
    rng = random.Random(0)
    groups = [[rng.gauss(mean, 0.01) for _ in range(3)] for mean in range(200)]
    found = judge.noise(groups)
    assert found.dof == 400
    assert found.sigma == pytest.approx(0.01, rel=0.1)


@given(
    st.lists(scores, min_size=1, max_size=5),
    st.lists(scores, min_size=1, max_size=5),
    st.lists(scores, max_size=4),
    st.floats(1e-5, 0.1),
    st.integers(0, 99),
)
def test_never_kept_on_fewer_draws_than_the_rule_says(
    draws: list[float], incumbent: list[float], beside: list[float], sigma: float, dof: int
) -> None:
    decision = judge.decide("default", draws, incumbent, Noise(sigma, dof), beside)
    if decision.action == "keep":
        assert len(draws) > judge.MIN_FRESH and len(beside) >= judge.MIN_FRESH and decision.delta < 0 and decision.p_gain >= judge.CERTAIN
    if decision.action == "run_again":
        assert len(draws) <= judge.MAX_FRESH
    if decision.action == "compare":
        assert len(beside) < max(len(draws) - 1, 1)


@given(st.lists(scores, min_size=2, max_size=4), st.permutations(INCUMBENT), st.randoms())
def test_the_order_of_independent_draws_does_not_matter(fresh: list[float], incumbent: list[float], rng: random.Random) -> None:
    shuffled = rng.sample(fresh, len(fresh))
    a, b = (judge.decide("default", [0.9, *draws], incumbent, KNOWN) for draws in (fresh, shuffled))
    assert a.action == b.action and a.delta == pytest.approx(b.delta)
