"""Which arm is better: equal arms have no winner, different ones do in time."""

import numpy as np
import pytest

from autoresearch.judge.arm_comparison import (
    SETTLED,
    ArmResults,
    GainTally,
    compare_arms,
    describe_arms,
    find_unreliable,
    p_better,
    smallest_ratio,
)

NIGHTS = 400


def arm(name: str, proposals: int, gains: int = 0, measured: int | None = None, size: float = 0.01) -> ArmResults:
    """An arm that used an hour and two dollars."""
    works = proposals if measured is None else measured
    return ArmResults(name, proposals, works, gains, (size,) * gains, 1.0, 2.0)


def simulate(proposals: int, rate: float, rng: np.random.Generator) -> GainTally:
    """Nights of an arm whose gains have heavy tails."""
    counts = rng.binomial(proposals, rate, NIGHTS)
    totals = [float(rng.lognormal(0.0, 1.0, count).sum()) for count in counts]
    return GainTally(np.full(NIGHTS, float(proposals)), counts.astype(float), np.array(totals))


def is_claimed(a: GainTally, b: GainTally) -> np.ndarray:
    return np.maximum(p_better(a, b, 300), p_better(b, a, 300)) >= SETTLED


@pytest.mark.parametrize("rate", [0.03, 0.1, 0.3])
def test_no_winner_is_claimed_among_equal_arms(rate: float) -> None:
    rng = np.random.default_rng(1)
    for proposals in (10, 40, 160):
        assert is_claimed(simulate(proposals, rate, rng), simulate(proposals, rate, rng)).mean() <= 0.05


def test_nor_where_one_looks_after_each_of_ten_nights() -> None:
    rng, ever = np.random.default_rng(2), np.zeros(NIGHTS, dtype=bool)
    a, b = simulate(40, 0.1, rng), simulate(40, 0.1, rng)
    for _ in range(10):
        ever |= is_claimed(a, b)
        a, b = a + simulate(40, 0.1, rng), b + simulate(40, 0.1, rng)
    assert ever.mean() <= 0.05


def test_a_much_better_arm_is_found() -> None:
    rng = np.random.default_rng(3)
    assert (p_better(simulate(100, 0.3, rng), simulate(100, 0.05, rng), 300) >= SETTLED).mean() > 0.8


def test_the_leader_is_named_and_the_nights_that_would_settle_it() -> None:
    found = compare_arms([arm("a", 40, 2), arm("b", 40, 8)])
    assert found is not None
    assert (found.leader, found.rival) == ("b", "a")
    assert found.opposite < 0.1 < found.probability < SETTLED
    assert found.nights is not None and found.nights >= 1
    settled = compare_arms([arm("a", 40 * (1 + found.nights), 2 * (1 + found.nights)),
                            arm("b", 40 * (1 + found.nights), 8 * (1 + found.nights))])  # fmt: skip
    assert settled is not None and settled.nights == 0 and settled.probability >= SETTLED


def test_equal_records_are_never_settled() -> None:
    found = compare_arms([arm("a", 40, 4), arm("b", 40, 4)])
    assert found is not None and found.nights is None and found.probability < 0.5


def test_the_leader_is_compared_with_its_likeliest_rival() -> None:
    found = compare_arms([arm("a", 40, 0), arm("b", 40, 8), arm("c", 40, 7)])
    assert found is not None and (found.leader, found.rival) == ("b", "c")


def test_nothing_is_said_of_one_arm_or_without_a_gain() -> None:
    assert compare_arms([arm("a", 40, 4)]) is None
    assert compare_arms([arm("a", 40), arm("b", 40)]) is None
    assert find_unreliable([arm("a", 40)]) is None


def test_broken_edits_are_told_apart_within_40_proposals() -> None:
    rng = np.random.default_rng(4)
    found = [
        find_unreliable([arm("bad", 20, measured=int(rng.binomial(20, 0.3))), arm("good", 20, measured=int(works))])
        for works in rng.binomial(20, 0.9, 60)
    ]
    assert sum(pair is not None and pair[0].name == "bad" for pair in found) / len(found) > 0.9
    equal = [find_unreliable([arm(name, 20, measured=int(rng.binomial(20, 0.8))) for name in "ab"]) for _ in range(100)]
    assert sum(pair is not None for pair in equal) <= 5


def test_intervals_contain_what_was_observed_and_the_truth() -> None:
    rng, hits = np.random.default_rng(5), 0
    for _ in range(100):
        gains = rng.exponential(0.01, rng.binomial(60, 0.1))
        results = ArmResults("a", 60, 60, len(gains), tuple(map(float, gains)), 2.0, None)
        figures = describe_arms([results])[0]
        hits += figures.gain_per_proposal.low <= 0.001 <= figures.gain_per_proposal.high
        assert figures.keep_rate.low <= figures.keep_rate.value <= figures.keep_rate.high
        assert figures.gain_per_dollar is None and figures.gain_per_hour is not None
        assert figures.gain_per_hour.value == pytest.approx(30 * figures.gain_per_proposal.value)
    assert hits >= 88


def test_an_arm_without_a_gain_may_still_have_one() -> None:
    figures = describe_arms([arm("a", 20, 4), arm("b", 20)])[1]
    assert figures.gain_per_proposal.value == 0.0 < figures.gain_per_proposal.high
    assert figures.gain_per_proposal.low == 0.0


def test_more_proposals_show_smaller_differences() -> None:
    few, many = smallest_ratio(40, 0.1), smallest_ratio(200, 0.1)
    assert few is not None and many is not None and 1.5 < many < few
    assert smallest_ratio(5, 0.1) is None
