"""The end of a run: hours, or a time of day by the clock on the wall."""

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from autoresearch.config import Config
from autoresearch.errors import UserError
from autoresearch.measure.clock import since_boot
from autoresearch.session.deadline import end_of_run, next_time

EVENING = "2026-11-21 22:00"


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


def at(text: str, fold: int = 0) -> float:
    return datetime.fromisoformat(text).replace(fold=fold).timestamp()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize(
    ("now", "text", "then", "hours"),
    [
        (EVENING, "07:00", "2026-11-22 07:00", 9),
        (EVENING, "22:30", "2026-11-21 22:30", 0.5),
        (EVENING, "22:00", "2026-11-22 22:00", 24),
        ("2026-03-28 22:00", "07:00", "2026-03-29 07:00", 8),  # clocks go forward at 02:00
        ("2026-10-24 22:00", "07:00", "2026-10-25 07:00", 10),  # and back at 03:00
        ("2026-03-28 22:00", "02:30", "2026-03-29 03:30", 4.5),  # a time that clocks leave out
        ("2026-10-24 22:00", "02:30", "2026-10-25 02:30", 4.5),  # a time that they show twice: the first
        ("2026-12-31 22:00", "7:05", "2027-01-01 07:05", 9 + 5 / 60),
    ],
)
def test_the_next_time_that_clocks_show(now: str, text: str, then: str, hours: float) -> None:
    assert next_time(text, at(now)) == at(then) == at(now) + 3600 * hours


@pytest.mark.usefixtures("berlin")
def test_between_the_two_times_that_clocks_show_the_second_one_is_next() -> None:
    between = at("2026-10-25 02:45")
    assert next_time("02:30", between) == at("2026-10-25 02:30", fold=1) == between + 2700


def test_hours_count_from_now_and_a_time_of_day_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    assert end_of_run(Config(), time.time()) is None
    assert end_of_run(Config(hours=2), time.time() - 3000) == pytest.approx(since_boot() + 7200, abs=5)
    asked = datetime.fromisoformat(EVENING).timestamp()
    monkeypatch.setattr("time.time", lambda: asked + 3600)  # the slots were not free before
    assert end_of_run(Config(until="23:30"), asked) == pytest.approx(since_boot() + 1800, abs=5)
    with pytest.raises(UserError, match="it is 22:30 already, after the wait for the slots: nothing was run"):
        end_of_run(Config(until="22:30"), asked)
