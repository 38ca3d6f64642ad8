"""`--since` as people write it."""

from datetime import datetime, timedelta

import pytest
from support.experiments import experiment

from autoresearch.cli.since import Since, parse_since
from autoresearch.errors import UsageError

NOW = datetime(2026, 11, 21, 7, 30)


@pytest.mark.parametrize(
    ("text", "then"),
    [
        ("2h", NOW - timedelta(hours=2)),
        ("30m", NOW - timedelta(minutes=30)),
        (" 1.5 H", NOW - timedelta(hours=1.5)),
        ("3d", NOW - timedelta(days=3)),
        ("today", datetime(2026, 11, 21)),
        ("yesterday", datetime(2026, 11, 20)),
        ("2026-11-20", datetime(2026, 11, 20)),
        ("2026-11-20T22:30", datetime(2026, 11, 20, 22, 30)),
        ("2026-11-20 22:30", datetime(2026, 11, 20, 22, 30)),
    ],
)
def test_times(text: str, then: datetime) -> None:
    assert parse_since(text, NOW) == Since(at=then.timestamp())


def test_the_number_of_an_experiment() -> None:
    assert parse_since("40", NOW) == Since(n=40)
    assert [n for n in (39, 40, 41) if Since(n=40).holds(experiment(n, settled=1.0))] == [40, 41]


def test_what_is_not_over_yet_is_always_recent() -> None:
    since = Since(at=100.0)
    assert [since.holds(experiment(1, settled=settled)) for settled in (99.0, 100.0, None)] == [False, True, True]


@pytest.mark.parametrize(
    "text", ["soon", "2x", "-3h", "2026-13-40", "", "999999999999999d", "999999d", "999999w", "9" * 5000]
)
def test_what_is_neither(text: str) -> None:
    with pytest.raises(UsageError, match="cannot be read: use 2h"):
        parse_since(text, NOW)
