"""Forecasts of the number of experiments in a session."""

from pathlib import Path

import pytest

from autoresearch.ledger import Ledger
from autoresearch.measure.clock import Budget
from autoresearch.setup import forecast

FIVE_MINUTES = Budget.parse("5m")


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A session on a card: two trials of the base, eight screenings, four re-runs; 320 s each, 299 s of training."""
    path = tmp_path / "ledger.db"
    with Ledger.open(path) as store:
        session = store.create_session("t", "b", "c", "sweep", "default", {"budget": "300s", "device": "cuda"}, {}, 1)
        experiment = store.add_experiment(session.id, 0)
        for purpose in ["base"] * 2 + ["screen"] * 8 + ["rerun"] * 4:
            trial = store.start_trial(session.id, experiment.id, purpose, 1, "blob")
            store.end_trial(trial.id, "ok", 1.0, {"train_seconds": 299.0})
            store.connection.execute("UPDATE trials SET ended = started + 320 WHERE id = ?", (trial.id,))
    return path


def test_a_guess_before_anything_was_measured(tmp_path: Path) -> None:
    found = forecast.expect(tmp_path / "none.db", FIVE_MINUTES, "cuda", 3, 8)
    assert found is not None and not found.measured
    assert found.experiments == int((8 * 3600 / 330 - 3) / 1.25)
    assert str(found).startswith(
        "expect about 67 experiments in 8 h: 10.9 trials an hour (300 s of training and 30 s around"
    )


def test_what_this_machine_measured(ledger: Path) -> None:
    found = forecast.expect(ledger, FIVE_MINUTES, "cuda", 3, 8)
    assert found is not None and found.measured
    assert (found.train_seconds, round(found.around_seconds), found.reruns) == (299, 21, 0.5)
    assert found.experiments == int((8 * 3600 / 320 - 3) / 1.5)


def test_each_slot_measures(ledger: Path) -> None:
    found = forecast.expect(ledger, FIVE_MINUTES, "cuda", 3, 8, slots=2)
    assert found is not None and found.experiments == int((2 * 8 * 3600 / 320 - 3) / 1.5)
    assert str(found).startswith(f"expect about {found.experiments} experiments in 8 h on 2 slots: 22.5 trials an hour")


def test_another_budget_takes_over_what_is_around_it_only(ledger: Path) -> None:
    found = forecast.expect(ledger, Budget.parse("10m"), "cuda", 3, 8)
    assert found is not None and (found.train_seconds, round(found.around_seconds)) == (600, 21)


def test_another_device_takes_over_nothing(ledger: Path) -> None:
    found = forecast.expect(ledger, Budget.parse("15cpu"), "cpu", 3, 8)
    assert found is not None and not found.measured and found.reruns == forecast.RERUNS


def test_steps_say_nothing_about_time(ledger: Path) -> None:
    assert forecast.expect(ledger, Budget.parse("200steps"), "cpu", 3, 8) is None


def test_a_short_night_has_no_experiments(ledger: Path) -> None:
    found = forecast.expect(ledger, FIVE_MINUTES, "cuda", 3, 0.1)
    assert found is not None and found.experiments == 0
