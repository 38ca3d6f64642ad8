"""Verdicts are arithmetic: never kept on the draw that selected, never against the best draw."""

import random

import pytest

from autoresearch import judge


def test_not_better_is_discarded_after_one_trial() -> None:
    assert judge.decide("default", [1.001], [1.0, 1.0, 1.0], 0.002).action == "discard"


def test_better_is_run_again_and_the_fresh_draw_decides() -> None:
    incumbent = [1.0, 1.001, 0.999]
    assert judge.decide("default", [0.9], incumbent, 0.001).action == "run_again"
    assert judge.decide("default", [0.9, 0.99], incumbent, 0.001).action == "keep"
    fluke = judge.decide("default", [0.9, 1.0], incumbent, 0.001)
    assert (fluke.action, fluke.near_miss) == ("discard", True)
    assert fluke.delta == pytest.approx(0.0)


def test_greedy_keeps_any_lower_number() -> None:
    assert judge.decide("greedy", [0.9989], [1.0, 0.999], 0.01).action == "keep"
    assert judge.decide("greedy", [0.9995], [1.0, 0.999], 0.01).action == "discard"


def test_noise_is_pooled_over_versions() -> None:
    rng = random.Random(0)
    groups = [[rng.gauss(mean, 0.01) for _ in range(3)] for mean in range(200)]
    found = judge.noise(groups)
    assert found.dof == 400
    assert found.sigma == pytest.approx(0.01, rel=0.1)


def test_a_null_change_is_seldom_kept() -> None:
    """Under the rule a change without effect passes the screening half of the time, the re-run about one in five."""
    rng = random.Random(1)
    kept = 0
    for _ in range(4000):
        incumbent = [rng.gauss(1, 0.01) for _ in range(3)]
        draws = [rng.gauss(1, 0.01), rng.gauss(1, 0.01)]
        kept += judge.decide("default", draws, incumbent, 0.01).action == "keep"
    assert 0.03 < kept / 4000 < 0.15
