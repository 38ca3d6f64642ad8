"""When a session stops: its own clock, and the ledger's record of how long trials take."""

import time
from pathlib import Path

import pytest

from autoresearch.ledger import Ledger, trial_seconds
from autoresearch.measure.clock import since_boot
from autoresearch.session.stopping import Limits


@pytest.mark.parametrize("jump", [-86400.0, 86400.0])
def test_a_clock_that_is_set_neither_ends_nor_prolongs_the_session(
    jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, real = Limits(until=since_boot() + 100), time.time
    monkeypatch.setattr("time.time", lambda: real() + jump)
    assert limits.seconds_left() == pytest.approx(100, abs=1)
    assert limits.stop_reason(5, [10.0]) is None and limits.stop_reason(5, [110.0]) == "deadline"
    assert limits.deadline == pytest.approx(real() + jump + 100, abs=1)


def test_a_clock_that_is_set_during_a_trial_does_not_make_it_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        session = store.create_session("t", "autoresearch/t", "b" * 40, "sweep", "default", {}, {}, 7)
        experiment = store.add_experiment(session.id, 0)
        for seconds in (3.0, 4.0, 5.0):
            trial = store.start_trial(session.id, experiment.id, "base", 1, "x")
            monkeypatch.setattr("time.time", lambda: 9e9)
            store.end_trial(trial.id, "ok", 2.0, {"total_seconds": seconds})
        store.start_trial(session.id, experiment.id, "base", 1, "x")
        store.abandon_open_trials(session.id)
        assert trial_seconds(store, session) == [5.0, 4.0, 3.0]
