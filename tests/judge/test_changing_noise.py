"""Noise that changes along a lineage."""

import random

import pytest

from autoresearch import judge
from autoresearch.judge import Draw, Squares


def draws(rng: random.Random, sigma: float, number: int, mean: float = 2.0) -> list[Draw]:
    return [Draw(rng.gauss(mean, sigma), k, k) for k in range(number)]


def newest(versions: list[list[Draw]]) -> judge.Noise:
    return judge.newest_noise(judge.noise(versions), [Squares.of([version]) for version in versions])


def test_a_lineage_whose_noise_falls_is_judged_by_its_newest_noise() -> None:
    rng = random.Random(0)
    spreads = (0.016, 0.0023, 0.0010, 0.0006)
    noise = newest([draws(rng, sigma, 8) for sigma in spreads])
    assert 0.0004 < noise.sigma < 0.0012
    assert noise.dof < 28  # as if all shared one


def test_noise_that_rises_is_noticed() -> None:
    rng = random.Random(1)
    noise = newest([draws(rng, 0.001, 6), draws(rng, 0.001, 6), draws(rng, 0.01, 6)])
    assert 0.005 < noise.sigma < 0.015


@pytest.mark.parametrize("seed", range(5))
def test_versions_that_share_one_noise_keep_nearly_all_degrees_of_freedom(seed: int) -> None:
    rng = random.Random(seed)
    versions = [draws(rng, 0.01, 4) for _ in range(10)]
    noise, pooled = newest(versions), judge.noise(versions)
    assert noise.sigma == pytest.approx(pooled.sigma, rel=0.3)
    assert pooled.dof / 3 < noise.dof <= pooled.dof


def test_little_is_made_of_two_draws_that_agree() -> None:
    """One re-run that agrees with another is no proof that the noise has fallen."""
    rng = random.Random(2)
    versions = [draws(rng, 0.01, 6), [Draw(1.9, 7, 7), Draw(1.9 + 1e-5, 8, 8)]]
    noise, pooled = newest(versions), judge.noise(versions)
    assert noise.sigma > pooled.sigma / 2


def test_the_first_version_has_the_noise_of_all() -> None:
    versions = [draws(random.Random(3), 0.01, 5)]
    assert newest(versions) == judge.noise(versions)


def test_equal_scores_never_give_a_noise_below_the_rounding() -> None:
    versions = [draws(random.Random(4), 1e-5, 5), *([Draw(1.5, k, k) for k in range(9)] for _ in range(4))]
    assert newest(versions).sigma >= 1e-6


@pytest.mark.parametrize("unit", [1e-9, 1e-3, 1e6])
def test_a_small_number_is_judged_as_a_large_one(unit: float) -> None:
    """A loss near 1e-9 has as much noise, relative to itself, as one near 1."""
    rng = random.Random(5)
    versions = [[Draw(draw.score * unit, draw.at) for draw in draws(rng, 0.01, 6, mean=0.5)] for _ in range(2)]
    assert newest(versions).sigma / unit == pytest.approx(0.01, rel=0.6)


def test_squares_are_of_each_version_around_its_own_mean() -> None:
    groups = [[Draw(1.0, 0), Draw(3.0, 1)], [Draw(10.0, 2)], [Draw(5.0, 3), Draw(5.0, 4), Draw(8.0, 5)]]
    assert Squares.of(groups) == Squares(2.0 + 6.0, 3)
