"""Forecasts from curves: rows cancel, whole trials teach, doubt makes them wide."""

import numpy as np
import pytest

from autoresearch import judge
from autoresearch.judge import LOOKS, CurveForecast, Example, Gap, LossCurve

STEPS = 200


def curve(level: float, seed: int, speed: float = 1.0, start: float = 0.0, every: int = 1) -> LossCurve:
    """Return a curve that falls to `level` by progress; losses scatter by the rows of a step, which the seed orders."""
    steps = np.arange(1.0, int(speed * STEPS) + 1)
    progress = steps / (speed * STEPS)
    rows = np.random.default_rng(seed).normal(0.0, 0.4, 2 * STEPS)[: len(steps)]
    losses = level + 0.3 / (progress + 0.1) + rows + start * (steps < 3)
    groups = [slice(k, k + every) for k in range(0, len(steps), every)]
    ends = np.array([min(k + every, len(steps)) - 1 for k in range(0, len(steps), every)])
    return LossCurve(progress[ends], steps[ends], np.array([losses[group].mean() for group in groups]))


def gap(ours: LossCurve, theirs: LossCurve, at: float = 0.5) -> Gap:
    found = judge.curve_gap(ours, theirs, at)
    assert found is not None
    return found


def test_rows_cancel_where_both_took_the_same_steps() -> None:
    paired, apart = gap(curve(3.03, 1), curve(3.0, 1)), gap(curve(3.03, 1), curve(3.0, 2))
    assert paired.mean == pytest.approx(0.01, rel=0.2) and paired.error < 1e-6
    assert apart.error > 0.005


def test_a_faster_version_is_compared_at_the_same_part_of_the_budget() -> None:
    """It has seen more rows there, and at equal steps it would look no better."""
    level = gap(curve(3.0, 1, speed=1.5), curve(3.0, 1))
    assert abs(level.mean) < 0.01 and level.error < 0.004


def test_points_that_are_means_of_different_numbers_of_steps_are_paired() -> None:
    fine, coarse = curve(3.03, 1), curve(3.0, 1, every=4)
    assert gap(fine, coarse).error < 0.001 and gap(fine, coarse).mean == pytest.approx(0.01, rel=0.2)


def test_curves_that_begin_apart_are_not_compared() -> None:
    """One of them may not be the loss: with another term, or in other units."""
    assert judge.curve_gap(curve(3.0, 1, start=2.0), curve(3.0, 1), 0.5) is None


@pytest.mark.parametrize("points", [0, 3, 6])
def test_few_points_say_nothing(points: int) -> None:
    whole = curve(3.0, 1)
    short = LossCurve(whole.progress[:points], whole.steps[:points], whole.losses[:points])
    assert judge.curve_gap(whole, short, 0.5) is None and judge.curve_gap(short, whole, 0.5) is None


def examples(slope: float, scatter: float, category: str, count: int = 20) -> list[Example]:
    rng = np.random.default_rng(3)
    gaps = rng.normal(0.02, 0.02, count)
    deltas = slope * gaps + rng.normal(0.0, scatter, count)
    return [
        Example((Gap(x, 0.0005),) * len(LOOKS), y, (category,))
        for x, y in zip(gaps.tolist(), deltas.tolist(), strict=True)
    ]


BEHIND = Gap(0.04, 0.0005)


def odds(known: list[Example], category: str = "optimiser", of: Gap = BEHIND) -> float:
    return CurveForecast(known, 0.004, (category,)).odds_below(6, of, -0.004)


def test_the_slope_is_learned() -> None:
    forecast = CurveForecast(examples(0.5, 0.001, "optimiser"), 0.004, ("optimiser",))
    assert forecast.expected(6, BEHIND) == pytest.approx(0.02, rel=0.25)
    assert CurveForecast([], 0.004).expected(6, BEHIND) == pytest.approx(0.6 * 0.04, rel=0.3)


def test_curves_that_part_from_the_score_make_a_forecast_wide() -> None:
    sure, unsure = odds(examples(0.6, 0.001, "optimiser")), odds(examples(0.0, 0.03, "optimiser"))
    assert sure < 0.01 < 0.1 < unsure


def test_a_gap_that_is_not_well_known_makes_a_forecast_wide() -> None:
    known = examples(0.6, 0.001, "optimiser")
    assert odds(known, of=Gap(0.04, 0.0005)) < 0.01 < 0.05 < odds(known, of=Gap(0.04, 0.05))


def test_only_schedules_tell_what_a_schedule_does() -> None:
    known = examples(0.6, 0.001, "optimiser")
    assert CurveForecast(known, 0.004, ("optimiser",)).is_known(6)
    assert not CurveForecast(known, 0.004, ("optimiser", "schedule")).is_known(6)
    late = examples(0.0, 0.02, "schedule")
    assert odds([*known, *late], "schedule") > 0.05 > odds([*known, *late[:2]], "optimiser")


def test_wrong_stops_lower_the_threshold() -> None:
    assert judge.max_odds([]) == judge.max_odds([(0.01, False)] * 10) == pytest.approx(0.02)
    once, twice = judge.max_odds([(0.01, True)]), judge.max_odds([(0.01, True)] * 2)
    assert twice < once < 0.01
