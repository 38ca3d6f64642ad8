"""Times, durations and states as people read them."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
from support.status_rows import NOW, STATUS

from autoresearch.ledger.session_status import Drift, MeanDifference, SessionStatus, TotalOnRecord
from autoresearch.measure.result import Result
from autoresearch.metric import Metric
from autoresearch.report.format import duration, moment, optimism, shares
from autoresearch.report.status import layout
from autoresearch.terminal import trial_view


def lines(status: SessionStatus) -> Mapping[str, str]:
    return layout(status, NOW).pairs


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-3, "0.0 s"), (4.23, "4.2 s"), (42, "42 s"), (59.6, "1 min"), (200, "3 min 20 s"), (3600, "1 h"),
        (11520, "3 h 12 min"), (187200, "2 d 4 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_moments_say_the_day_only_if_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    assert moment(NOW + 3600, NOW) == "23:00 (in 1 h)"
    assert moment(NOW - 60, NOW) == "21:59 (1 min ago)"
    assert moment(NOW + 8 * 3600, NOW) == "Sun 22 Nov 06:00 (in 8 h)"


def test_shares_leave_out_what_is_next_to_nothing() -> None:
    assert shares({"train": 90.0, "agent_wait": 9.9, "idle": 0.1}) == "train 90 %, agent wait 10 %"
    assert shares({"train": 0.0}) == ""


@pytest.mark.parametrize("name", ["time", "total", "session", "accuracy"])
def test_the_score_is_shown_whatever_its_name(name: str) -> None:
    status = replace(STATUS, metric=Metric(name), base_bpb=1.25)
    label = "accuracy" if name == "accuracy" else "score"
    assert lines(status)[label].startswith("1.2500, the base") and lines(status)["session"].startswith("t on branch")
    assert trial_view.summary(Result("ok", 1.25), None, Metric("outcome"))["score"] == "1.25"


def test_a_session_that_has_only_just_begun() -> None:
    found = lines(STATUS)
    assert list(found) == ["session", "state", "setup", "experiments", "grade", "time"]
    assert found["time"] == "0.0 s"


def test_suspects_come_first_and_a_weak_grade_says_where_to_look() -> None:
    found = lines(replace(STATUS, verdicts={"suspect": 2}, grade="WEAK"))
    assert next(iter(found)) == "suspects" and "autoresearch doctor" in found["grade"]


def test_a_session_that_ended_with_an_error_says_with_which() -> None:
    over = replace(STATUS, state="ended", stop_reason="error")
    assert lines(over)["state"] == "ended: error"
    full = replace(over, error="the disk\x1b[2J is full:\nmake room")
    assert lines(full)["state"] == "ended: error: the disk is full: make room"


def test_cost_that_is_not_known_is_not_nothing() -> None:
    assert lines(replace(STATUS, cost_usd=None, unpriced=["m"]))["cost"] == (
        "unknown: `prices: {m: {input: ..., output: ...}}` in autoresearch.yaml gives later calls a price"
    )
    assert lines(replace(STATUS, cost_usd=1.234))["cost"] == "$1.23"


def test_the_gain_is_called_what_it_is_until_it_is_measured_again() -> None:
    found = replace(STATUS, base_bpb=2.2, best_bpb=2.1, best=7, best_sha="a" * 40, sigma=0.01)
    ended = lines(replace(found, state="ended"))
    assert ended["val_bpb"] == "2.2000 -> 2.1000 (-0.1000 as the search saw it, sigma 0.0100), experiment 7, aaaaaaa"
    assert ended["total"] == "not measured yet: `autoresearch total`" and "total" not in lines(found)
    total = TotalOnRecord(final=7, mean=-0.08, low=-0.1, high=-0.06)
    words = "-0.0800, 95 % between -0.1000 and -0.0600 (experiment 7 against the base, measured again)"
    assert lines(replace(STATUS, total=total))["total"] == words and "holdout" not in lines(
        replace(STATUS, total=total)
    )
    both = replace(total, holdout=MeanDifference(-0.05, -0.09, 0.01))
    assert lines(replace(STATUS, total=both))["holdout"].startswith(
        "-0.0500, 95 % between -0.0900 and +0.0100: no diff"
    )


@pytest.mark.parametrize(("gain", "words"), [(-0.12, "too good"), (-0.09, "agrees with it"), (-0.02, "show more")])
def test_what_the_search_saw_is_held_against_the_interval(gain: float, words: str) -> None:
    assert optimism(gain, MeanDifference(-0.08, -0.1, -0.06)).endswith(words)


def test_the_time_is_that_of_the_clock_however_many_slots_there_were() -> None:
    split = {"train": 10_800.0, "score": 3600.0}
    one = replace(STATUS, seconds=14_400.0, time_split=split)
    assert lines(one)["time"] == "4 h: train 75 %, score 25 %"
    assert lines(replace(one, seconds=7200.0, slots=2))["time"] == "2 h on 2 slots: train 75 %, score 25 %"


def test_what_people_said_and_what_the_machine_did() -> None:
    kept = replace(STATUS, kept=3, simpler=1, experiments=9, verdicts={"discard": 6, "keep": 3})
    assert lines(kept)["experiments"] == "9: 6 discard, 3 keep (1 of the kept: no gain, at the same score)"
    late = replace(kept, unmeasured=4)
    assert lines(late)["experiments"].startswith("9: 4 never measured, 3 keep, 2 discard (1 of the kept")
    assert "; never measured: replaced by the same change to a newer incumbent" in lines(late)["experiments"]
    assert "reviews" not in lines(kept), "nobody reviews while it runs"
    assert lines(replace(kept, state="ended"))["reviews"] == "none of 3 kept: `autoresearch review N`"
    said = replace(kept, reviews={"accepted": 2, "rejected": 1}, lost=2)
    assert lines(said)["reviews"] == "2 accepted, 1 rejected of 3 kept"
    assert lines(said)["machine"] == "2 trials lost, and run again"
    drift = Drift(0, NOW - 60, "experiment 0 scores\x1b[31m +4.0 sigma from before")
    assert lines(replace(STATUS, drift=drift, lost=1))["machine"].endswith(
        "(1 min ago) experiment 0 scores +4.0 sigma from before; 1 trial lost, and run again"
    )
