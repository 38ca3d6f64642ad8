"""What coding agents say at their limits, in many words, and when they can be asked again."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from autoresearch.agents.command import limits

NOW = datetime(2026, 11, 27, 12, 0, tzinfo=UTC).timestamp()
HOUR = 3600.0


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("words", "hours"),
    [
        ("Session limit reached, resets 3:30pm", 3.5),
        ("You have hit your limit; it resets 3am (UTC)", 15),
        ("it resets at 4pm (Europe/Berlin)", 3),
        ("it resets 13:15", 1.25),
        ("weekly limit, resets Nov 29, 10am", 46),
        ("Try again at Nov 27th, 2026 1:00 PM.", 1),
        ("resets Jan 2 at 12pm", 36 * 24),
        ("usage limit. Try again in 2 hours 30 minutes", 2.5),
        ("your quota will reset after 14h6m", 14.1),
        ("please retry in 1.5h", 1.5),
        ("try again in 1 day and 3 hours", 27),
        (f"usage limit reached|{int(NOW + HOUR)}", 1),
        (f"usage limit reached|{int(NOW + HOUR)}000", 1),
    ],
)
def test_the_time_that_is_named(words: str, hours: float) -> None:
    assert limits.reset_time(words, NOW) == pytest.approx(NOW + hours * HOUR, abs=1)


@pytest.mark.parametrize("words", ["", "resets 5 counters", "resets 27:99", "resets Feb 30, 1pm", "retry in 500ms"])
def test_no_time_is_named(words: str) -> None:
    assert limits.reset_time(words, NOW) is None
    assert limits.retry_at(words, NOW, 600) == NOW + 600


@pytest.mark.parametrize("words", ["limit reached, resets 11:59am", "it resets 12pm (UTC)"])
def test_a_time_that_has_just_passed_is_not_that_of_tomorrow(words: str) -> None:
    assert limits.retry_at(words, NOW, 600) == NOW + 600


def test_an_unknown_zone_is_local_time() -> None:
    assert limits.reset_time("resets 1pm (Middle/Earth)", NOW) == NOW + HOUR


def test_a_time_that_may_be_misread_is_trusted_for_some_hours_only() -> None:
    assert limits.retry_at("resets Jan 2, 1pm", NOW, 600) == NOW + limits.MAX_TRUSTED_WAIT_S
    assert limits.retry_at("limit reached|1700000000", NOW, 600) == NOW + 600


def test_the_last_words_are_those_in_the_result() -> None:
    assert limits.last_words('noise\n{"type": "result", "result": "API Error:\\nlimit"}\n') == "API Error: limit"
    assert limits.last_words("a\n b \n\n") == "b"
    assert limits.last_words("[" * 5000) == "[" * 5000
    assert limits.last_words("") == ""


def test_only_plain_words_count_where_a_command_calls_itself_successful() -> None:
    assert limits.is_at_limit("You've hit your usage limit. Try again at 3:05 PM.\n\n")
    assert not limits.is_at_limit("I lowered the limit of the learning rate; 429 steps.")
    assert not limits.is_at_limit("You have hit your limit\n" + "line\n" * limits.LAST_LINES)
