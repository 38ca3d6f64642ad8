"""Scores at equal speed of the machine: what is learned from repeated versions, and that nothing else changes."""

import math
import random
from collections.abc import Sequence
from statistics import fmean, pstdev

import pytest

from autoresearch import judge
from autoresearch.judge import Draw, SpeedEffect

SLOPE, SIGMA, BUSY = -0.065, 0.004, 0.09  # of the recorded session; BUSY is the spread of ln(speed)


def versions(
    rng: random.Random, repeats: Sequence[int], slope: float = SLOPE, busy: float = BUSY, speed: float = 35.0
) -> list[list[Draw]]:
    groups = []
    for count in repeats:
        level, group = rng.gauss(2.0, 0.05), []
        for _ in range(count):
            x = rng.gauss(0, busy)
            group.append(Draw(level + slope * x + rng.gauss(0, SIGMA), rng.randrange(99), None, speed * math.exp(x)))
        groups.append(group)
    return groups


def spread(groups: Sequence[Sequence[Draw]]) -> float:
    return math.sqrt(fmean(pstdev(draw.score for draw in group) ** 2 for group in groups))


def test_a_slope_is_learned_and_lowers_the_spread() -> None:
    groups = versions(random.Random(0), [6] * 6)
    effect = judge.learn_speed(groups)
    assert effect.slope == pytest.approx(SLOPE, abs=3 * effect.error)
    assert spread([effect.adjust(group) for group in groups]) < 0.75 * spread(groups)


def test_a_slower_trial_gets_a_lower_score_at_equal_speed() -> None:
    effect = SpeedEffect(SLOPE, 0.01, reference=35.0)
    slow, usual, fast, unknown = effect.adjust([Draw(2.0, k, speed=v) for k, v in enumerate((28.0, 35.0, 42.0, None))])
    assert slow.score < usual.score == 2.0 == unknown.score < fast.score


@pytest.mark.parametrize("unit", [1.0, 1000.0])
def test_the_unit_of_speed_does_not_matter(unit: float) -> None:
    groups = versions(random.Random(1), [4] * 4, speed=unit)
    (first, *_), (second, *_) = (judge.learn_speed(groups).adjust(group) for group in groups[:2])
    (one, *_), (two, *_) = (
        judge.learn_speed(groups).adjust(group) for group in versions(random.Random(1), [4] * 4)[:2]
    )
    assert first.score - second.score == pytest.approx(one.score - two.score)


def test_without_an_effect_of_speed_scores_hardly_change() -> None:
    shares = []
    for k in range(200):
        groups = versions(random.Random(k), [3, 3, 3, 2], slope=0.0)
        adjusted = [judge.learn_speed(groups).adjust(group) for group in groups]
        moved = [
            a.score - b.score for old, new in zip(groups, adjusted, strict=True) for a, b in zip(old, new, strict=True)
        ]
        shares.append(pstdev(moved) / SIGMA)
    assert fmean(shares) < 0.15
    assert fmean(share == 0 for share in shares) > 0.4, "a faster machine that scores worse teaches nothing"


@pytest.mark.parametrize("repeats", [[1, 1, 1, 1], [3], [2, 2]])
def test_too_few_repeats_teach_nothing(repeats: list[int]) -> None:
    assert judge.learn_speed(versions(random.Random(2), repeats)) == SpeedEffect()


def test_trials_without_a_speed_teach_nothing() -> None:
    groups = [[Draw(2.0 + k / 1000, k) for k in range(9)]]
    effect = judge.learn_speed(groups)
    assert not effect.is_known
    assert effect.adjust(groups[0]) == groups[0]


def test_a_version_that_is_slow_by_itself_is_not_forgiven() -> None:
    """Its own steps are no input: on the same cores, its score stays worse by the same amount."""
    groups = versions(random.Random(3), [6] * 4)
    effect = judge.learn_speed(groups)
    slow = [Draw(draw.score + 0.02, draw.at, draw.seed, draw.speed) for draw in groups[0]]
    lost = fmean(draw.score for draw in effect.adjust(slow)) - fmean(draw.score for draw in effect.adjust(groups[0]))
    assert lost == pytest.approx(0.02)


def keeps(gain: float, share: float, equal: bool, sessions: int = 100) -> int:
    """Count the sessions that keep a change of `gain` sigma, on cores that changed after the incumbent's trials.

    Each measures the candidate or the incumbent on the cores of now, as the rule asks, until it has a verdict.
    """
    return sum(is_kept(random.Random(k), gain, 35 * share, equal) for k in range(sessions))


def is_kept(rng: random.Random, gain: float, speed: float, equal: bool) -> bool:
    def draw(level: float, at: int, speed: float) -> Draw:
        return Draw(level + SLOPE * math.log(speed / 35) + rng.gauss(0, SIGMA), at, None, speed)

    earlier = versions(rng, [5, 4, 4])
    incumbent, candidate = [draw(2, 15 + i, 35.0) for i in range(3)], [draw(2 - gain * SIGMA, 20, speed)]
    for at in range(21, 61):
        groups = [*earlier, incumbent, candidate[1:]]
        effect = judge.learn_speed(groups) if equal else SpeedEffect()
        noise = judge.noise([effect.adjust(group) for group in groups])
        decision = judge.decide("default", effect.adjust(candidate), effect.adjust(incumbent), noise)
        if decision.action in ("keep", "discard"):
            return decision.action == "keep"
        if decision.action == "run_again":
            candidate.append(draw(2 - gain * SIGMA, at, speed))
        else:
            incumbent.append(draw(2, at, speed))
    raise AssertionError("no verdict after 40 trials")


@pytest.mark.slow
def test_a_gain_is_found_on_cores_that_have_become_slower() -> None:
    assert keeps(3, 0.8, equal=False) < 10
    assert keeps(3, 0.8, equal=True) > 50


@pytest.mark.parametrize("share", [0.8, 1.0, 1.25])
def test_nothing_is_kept_for_the_speed_of_the_cores(share: float) -> None:
    assert keeps(0, share, equal=True) < 15


@pytest.mark.slow
def test_as_measured_faster_cores_are_kept_as_a_gain() -> None:
    """The incumbent's trials on the cores of now undo only a part of that."""
    assert keeps(0, 1.25, equal=False) > 25
