"""The arm that proposes next: better arms get more, and none is forgotten."""

import random
from collections import Counter

from autoresearch.judge.allocation import FLOOR, PLATEAU_VERDICTS, WARM_UP, ArmRecord, choose_arm

DRAWS = 300  # seeds that show the probability of an arm


def play(rates: dict[str, float], seed: int, proposals: int = 120) -> list[str]:
    """Return the arms of one night, whose proposals gain 0.01 with these rates."""
    rng, gains, chosen = random.Random(seed), {name: [] for name in rates}, []
    for k in range(proposals):
        records = [ArmRecord(name, tuple(each), (1.0,) * len(each)) for name, each in gains.items()]
        chosen.append(choose_arm(records, 1000 * seed + k))
        gains[chosen[-1]].append(0.01 if rng.random() < rates[chosen[-1]] else 0.0)
    return chosen


def share(records: list[ArmRecord], name: str) -> float:
    return Counter(choose_arm(records, seed) for seed in range(DRAWS))[name] / DRAWS


def record(name: str, gained: int, nothing: int, cost: float = 1.0) -> ArmRecord:
    """An arm that gained in turns, so that it is on no plateau."""
    gains = sorted(range(gained + nothing), key=lambda k: -(k * gained % (gained + nothing)))
    values = tuple(0.01 if k in gains[:gained] else 0.0 for k in range(gained + nothing))
    return ArmRecord(name, values, (cost,) * len(values))


def test_the_same_records_and_seed_give_the_same_arm() -> None:
    records = [record("a", 3, 20), record("b", 4, 20)]
    assert len({choose_arm(records, 7) for _ in range(5)}) == 1
    assert {choose_arm(records, seed) for seed in range(50)} == {"a", "b"}


def test_the_first_proposals_are_shared_equally() -> None:
    assert Counter(play({"a": 0.9, "b": 0.0}, seed=1, proposals=WARM_UP)) == {"a": 10, "b": 10}
    assert Counter(play({"a": 0.9, "b": 0.0, "c": 0.0, "d": 0.0}, seed=1, proposals=WARM_UP)) == dict.fromkeys(
        "abcd", 5
    )


def test_what_is_pending_counts_as_given() -> None:
    slow, quick = ArmRecord("slow", (), (), pending=3), ArmRecord("quick", (0.0, 0.0), (1.0, 1.0))
    assert choose_arm([slow, quick], 0) == "quick"


def test_a_better_arm_gets_over_70_percent_after_40_proposals() -> None:
    late = [name for seed in range(20) for name in play({"good": 0.3, "useless": 0.0}, seed)[40:]]
    assert late.count("good") / len(late) > 0.7


def test_the_arm_with_more_gains_is_preferred() -> None:
    assert share([record("good", 8, 20), record("weak", 2, 26)], "good") > 0.7


def test_equal_arms_keep_between_25_and_75_percent() -> None:
    late = [name for seed in range(20) for name in play({"a": 0.15, "b": 0.15}, seed)[40:]]
    assert 0.25 < late.count("a") / len(late) < 0.75


def test_a_useless_arm_keeps_its_floor() -> None:
    records = [record("good", 30, 30), record("useless", 0, PLATEAU_VERDICTS - 1)]
    assert FLOOR / 4 < share(records, "useless") < FLOOR


def test_an_arm_on_a_plateau_gives_way() -> None:
    flat = ArmRecord("flat", (0.05,) * 10 + (0.0,) * PLATEAU_VERDICTS, (1.0,) * (10 + PLATEAU_VERDICTS))
    other = record("other", 1, 12)
    assert share([flat, other], "flat") < FLOOR
    assert share([ArmRecord("flat", flat.gains[:-1], flat.costs[:-1]), other], "flat") > 0.5


def test_the_larger_gain_for_the_same_cost_is_preferred() -> None:
    assert share([record("cheap", 4, 20), record("dear", 4, 20, cost=5.0)], "cheap") > 0.75


def test_an_arm_without_a_price_does_not_get_everything() -> None:
    free, paid = record("free", 0, 15, cost=0.0), record("paid", 8, 20)
    assert share([free, paid], "paid") > 0.5


def test_records_of_nothing_and_losses_are_no_error() -> None:
    empty = [ArmRecord("a", (), ()), ArmRecord("b", (), ())]
    assert choose_arm(empty, 0) in "ab"
    losses = [ArmRecord(name, (-0.1,) * 12, (0.0,) * 12) for name in "ab"]
    assert {choose_arm(losses, seed) for seed in range(30)} == {"a", "b"}
