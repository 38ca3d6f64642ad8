"""Openings that a brief offers, and the one that an agent took."""

from dataclasses import replace

import pytest

from autoresearch.brief import openings
from autoresearch.brief.history import PastExperiment
from autoresearch.brief.openings import Opening, find_openings, find_taken
from autoresearch.ledger.categories import CATEGORIES
from autoresearch.metric import Metric

BASE = PastExperiment(0, "keep", "the base", "", "", "the base", val_bpb=2.0)


def past(n: int, verdict: str = "discard", delta: float | None = 0.1, **more: object) -> PastExperiment:
    found = PastExperiment(n, verdict, "why", "claude", "optimiser", f"idea {n}", delta=delta, parent=0, mode="climb")
    return replace(found, **more)  # type: ignore[arg-type]


def miss(n: int, p_gain: float = 0.4, **more: object) -> PastExperiment:
    return past(n, **{"delta": -0.001, "near_miss": True, "p_gain": p_gain, **more})


def labels(found: list[Opening], mode: str) -> list[str]:
    return [each.label for each in found if each.mode == mode]


def test_at_first_only_untried_categories_are_offered() -> None:
    (only,) = find_openings([BASE], 0, [])
    assert only.label == "untried" and "architecture, optimiser, " in only.words and "other" not in only.words


def test_of_a_command_only_categories_that_were_used_are_offered() -> None:
    """A schedule means nothing to a sorting program."""
    seconds = Metric("seconds", kind="time")
    history = [replace(BASE, metric=seconds)]
    assert find_openings(history, 0, []) == []
    history += [past(1, category="throughput", metric=seconds), past(2, category="numerics", metric=seconds)]
    (only,) = find_openings(history, 0, [])
    assert only.words == "the category that was tried least recently: throughput"


def test_what_lies_inside_the_noise_is_not_offered() -> None:
    """Of the recorded session, experiments 6 and 10: inside the noise with odds of 14 %, and odds of 26 %."""
    history = [BASE, past(6, delta=-0.0049, p_gain=0.14), miss(10, 0.26, delta=-0.007)]
    found = find_openings(history, 0, [past.n for past in history if past.near_miss])
    assert labels(found, "refine") == ["refine 10"]
    assert "odds of a gain 26 %" in next(each.words for each in found if each.n == 10)


def test_a_line_of_near_misses_is_offered_a_few_times_only() -> None:
    history = [BASE, miss(1), *(past(n, mode="refine", line=1, parent=1) for n in (2, 3))]
    assert labels(find_openings(history, 0, [1]), "refine") == ["refine 1"]
    history.append(past(4, mode="refine", line=1, parent=1))
    assert labels(find_openings(history, 0, [1]), "refine") == []


def test_a_near_miss_on_an_older_keep_says_so() -> None:
    history = [BASE, miss(1), past(2, "keep", -0.1), miss(3, parent=2)]
    old, new = (each.words for each in find_openings(history, 2, [1, 3]) if each.mode == "refine")
    assert "built on experiment 0, not on the incumbent" in old and "built on" not in new


def test_a_failure_is_worth_a_repair_until_somebody_took_it_up() -> None:
    crash = past(3, "crash", None, reason="nothing_saved: trial.save() began too late")
    found = find_openings([BASE, crash], 0, [])
    assert labels(found, "repair") == ["repair 3"]
    assert "nothing_saved" in next(each.quote for each in found if each.mode == "repair")
    for later in (
        past(4, mode="repair", line=3),
        past(4, hypothesis="Experiment 3 in smaller types"),
        past(4, params={"source": "experiment 3"}),
    ):
        assert labels(find_openings([BASE, crash, later], 0, []), "repair") == []
    assert labels(find_openings([BASE, crash, past(4, hypothesis="experiment 30")], 0, []), "repair") == ["repair 3"]
    assert labels(find_openings([BASE, crash, past(40)], 0, []), "repair") == []


def test_a_change_that_conflicts_with_a_newer_incumbent_is_offered_to_be_made_anew() -> None:
    lost = past(3, delta=None, reason="superseded by experiment 4, with which it conflicts")
    carried = past(5, delta=None, reason="superseded by experiment 4")
    history = [BASE, lost, past(4, "keep", -0.1), carried]
    assert labels(found := find_openings(history, 4, []), "repair") == ["repair 3"]
    assert "conflicts with a newer incumbent" in next(each.words for each in found if each.mode == "repair")
    assert labels(find_openings([*history, past(6, mode="repair", line=3)], 4, []), "repair") == []


def test_a_category_whose_constants_moved_was_tried_and_one_that_was_superseded_was_not() -> None:
    tried = [past(n, category=name) for n, name in enumerate(CATEGORIES, 1) if name not in ("schedule", "numerics")]
    moved = past(20, change="WARMDOWN 0.6 -> 0.9", category="optimiser")
    gone = past(21, delta=None, category="numerics", reason="superseded by experiment 20")
    assert find_openings([BASE, *tried, moved, gone], 0, [])[0].words.endswith(": numerics")
    everything = [BASE, *tried, moved, past(22, category="numerics")]
    assert find_openings(everything, 0, [])[0].words == "the category that was tried least recently: architecture"


def test_older_keeps_are_offered_the_newest_first() -> None:
    keeps = [past(n, "keep", -0.1, val_bpb=2 - n / 10) for n in range(1, 6)]
    found = find_openings([BASE, *keeps], 5, [])
    assert labels(found, "branch") == ["branch 4", "branch 3", "branch 2"]


def test_a_long_time_without_a_keep_is_a_fact_and_no_order() -> None:
    gone = past(30, delta=None, reason="superseded by experiment 20")
    history = [BASE, past(1, "keep", -0.1), *(past(n) for n in range(2, 9)), gone]
    assert openings.describe_plateau(history, 1) == ""
    assert openings.describe_plateau([*history, past(31)], 1) == "Nothing was kept in the last 8 experiments."


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("refine 13", "refine 13"), ("`Refine 13`", "refine 13"), ("I take refine (experiment 13).", "refine 13"),
        ("refine 14", None), ("repair 38", "repair 38"), ("untried numerics", "untried"), ("untried", "untried"),
        ("own", None), (None, None), ("", None), ("refinement of nothing", None), ("branch 9999999999999", None),
    ],
)  # fmt: skip
def test_the_opening_that_an_agent_names_is_found(said: str | None, label: str | None) -> None:
    offered = [Opening("refine", "", 13), Opening("repair", "", 38), Opening("untried", ""), Opening("branch", "", 9)]
    found = find_taken(offered, said)
    assert (found.label if found else None) == label


def test_the_keep_below_a_line_is_found() -> None:
    history = [
        BASE,
        past(1, "keep"),
        past(2, parent=1, line=None),
        past(3, parent=2, line=2),
        past(4, "keep", parent=3),
    ]
    assert [openings.built_on(history, n) for n in range(5)] == [0, 1, 1, 1, 4]
    assert [openings.line_of(history, n) for n in range(5)] == [None, None, 2, 2, None]
