"""Failures and margins of a version, as a brief states them."""

from support.experiments import trial

from autoresearch.brief.reliability import describe_reliability


def test_failures_are_counted_by_kind_and_margins_are_of_the_budget() -> None:
    trials = [
        trial("rerun", result={"margin": 0.05}),
        trial("sentinel", result={"margin": 0.012}),
        trial("sentinel", "nothing_saved", val_bpb=None, result={"margin": None}),
        trial("sentinel", "oom", val_bpb=None),
    ]
    assert describe_reliability(trials, "experiment 3") == [
        "Trials of experiment 3: 4, 2 failed (1 nothing_saved, 1 oom).",
        "When experiment 3 had saved, 3.1 % of the budget was left on average, at least 1.2 %.",
    ]


def test_a_ledger_without_margins_says_nothing_of_them() -> None:
    assert describe_reliability([trial()], "experiment 0") == ["Trials of experiment 0: 1, none failed."]
    assert describe_reliability([], "experiment 0") == []
