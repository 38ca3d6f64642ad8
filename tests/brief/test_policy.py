"""Direction of the search as a function of the history."""

from dataclasses import replace
from itertools import pairwise

import pytest

from autoresearch.brief import policy
from autoresearch.brief.history import PastExperiment
from autoresearch.ledger.rows import CATEGORIES

BASE = PastExperiment(0, "keep", "the base", "", "", "the base")


def past(
    n: int, verdict: str = "discard", mode: str | None = "climb", delta: float | None = 0.1, **more: object
) -> PastExperiment:
    found = PastExperiment(n, verdict, "why", "claude", "optimiser", f"idea {n}", delta=delta, parent=0, mode=mode)
    return replace(found, **more)  # type: ignore[arg-type]


def miss(n: int, delta: float = 0.001, **more: object) -> PastExperiment:
    return past(n, delta=delta, near_miss=True, **more)


def test_at_first_it_climbs() -> None:
    assert policy.direction([BASE], 0) == policy.climb(0)
    assert policy.direction([BASE, past(1), past(2)], 0).mode == "climb"


def test_a_crash_is_repaired_once() -> None:
    crash = past(1, "crash", delta=None)
    found = policy.direction([BASE, crash], 0)
    assert (found.mode, found.parent, found.line, found.about) == ("repair", 1, 1, (1,))
    again = past(2, "crash", "repair", None, parent=1, line=1)
    assert policy.direction([BASE, crash, again], 0).mode == "climb"
    other = past(3, "crash", delta=None)
    assert policy.direction([BASE, crash, again, other], 0).parent == 3


def test_what_was_not_asked_for_is_not_repaired_but_its_near_misses_are_refined() -> None:
    assert policy.direction([BASE, past(1, "crash", None, None)], 0).mode == "climb"
    assert policy.direction([BASE, miss(1, mode=None)], 0).mode == "refine"


def test_the_best_near_miss_is_refined_up_to_its_limit() -> None:
    history = [BASE, miss(1, 0.004), miss(2, 0.001), past(3)]
    found = policy.direction(history, 0)
    assert (found.mode, found.parent, found.line) == ("refine", 2, 2)
    modes = []
    for n in range(4, 16):
        found = policy.direction(history, 0)
        modes.append((found.mode, found.line))
        history.append(past(n, mode=found.mode, line=found.line, parent=found.parent))
    refined = [line for mode, line in modes if mode == "refine"]
    assert refined == [2, 2, 2, 1, 1, 1]
    assert all(a != "refine" or b != "refine" for (a, _), (b, _) in pairwise(modes))


def test_a_direction_says_how_near_a_near_miss_came() -> None:
    far = miss(1, 0.004, sigma=0.01, p_gain=0.08)
    words = policy.direction([BASE, far], 0).words
    assert words.startswith("Experiment 1 came near the incumbent (+0.4 sigma, worse, odds of a gain 8 %).")


def test_a_category_whose_constants_moved_was_tried() -> None:
    tried = [past(n, category=name) for n, name in enumerate(CATEGORIES, 1) if name not in ("schedule", "numerics")]
    moved = past(20, change="WARMDOWN 0.6 -> 0.9", category="optimiser")
    plateau = [BASE, *tried, moved]
    assert "`numerics` was tried least recently" in policy.direction(plateau, 0).words


def test_a_line_that_improves_goes_on_at_once_from_its_best() -> None:
    history = [BASE, miss(1, 0.004), miss(2, 0.002, mode="refine", line=1, parent=1)]
    found = policy.direction(history, 0)
    assert (found.mode, found.parent, found.line) == ("refine", 2, 1)
    worse = miss(3, 0.003, mode="refine", line=1, parent=2)
    assert policy.direction([*history, worse], 0).mode == "climb"


def test_a_keep_ends_the_lines_before_it() -> None:
    history = [BASE, miss(1), past(2, "keep", delta=-0.1)]
    assert policy.direction(history, 2) == policy.climb(2)


def test_on_a_plateau_every_second_proposal_looks_elsewhere() -> None:
    history = [BASE, past(1, "keep", delta=-0.1), *(past(n) for n in range(2, 10))]
    modes = []
    for n in range(10, 20):
        found = policy.direction(history, 1)
        modes.append(found.mode)
        history.append(past(n, mode=found.mode, parent=found.parent))
    assert modes == ["radical", "climb", "simplify", "climb", "branch", "climb", "bug", "climb", "radical", "climb"]


def test_near_misses_are_combined_and_older_keeps_branched_from() -> None:
    spent = [past(n, mode="refine", line=1 + n % 2) for n in range(3, 9)]
    found = policy.direction([BASE, miss(1), miss(2, 0.002), *spent, past(9)], 0)
    assert found.mode == "combine" and found.about == (1, 2) and found.parent == 0
    keeps = [BASE, past(1, "keep"), past(2, "keep")]
    turns = [past(n, mode=mode) for n, mode in enumerate(["radical", "climb", "simplify", *["climb"] * 6], 3)]
    branched = policy.direction([*keeps, *turns], 2)
    assert (branched.mode, branched.parent) == ("branch", 1)


@pytest.mark.parametrize("seed", range(5))
def test_any_history_gives_a_direction(seed: int) -> None:
    import random

    rng = random.Random(seed)
    history, incumbent = [BASE], 0
    for n in range(1, 120):
        found = policy.direction(history, incumbent)
        assert found.mode in ("climb", "repair", "refine", *policy.TURNS) and found.parent in range(n)
        verdict = rng.choice(["discard"] * 8 + ["crash", "invalid", "duplicate", "keep"])
        near = verdict == "discard" and rng.random() < 0.5
        delta = rng.gauss(0, 0.01) if verdict in ("discard", "keep") else None
        history.append(past(n, verdict, found.mode, delta, near_miss=near, line=found.line, parent=found.parent))
        incumbent = n if verdict == "keep" else incumbent
