"""What a session says of the gain that it can show: at its start or after the base, and at its end."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.pools import PROGRAM, Setter, doubled, measure
from support.referees import FunctionReferee
from support.sessions import session_of

from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Event, Ledger, status
from autoresearch.measure.clock import since_boot
from autoresearch.measure.settings import Settings
from autoresearch.report.status import layout
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import Limits
from autoresearch.setup.forecast import Forecast


@pytest.fixture
def store(repository: Path) -> Iterator[Ledger]:
    with Ledger.open(repository / "runs" / "ledger.db") as ledger:
        yield ledger


def expect(hours: float) -> Forecast:
    return Forecast(hours, train_seconds=30.0, around_seconds=6.0, replicates=2, reruns=0.25, measured=True)


def loop(
    repository: Path, store: Ledger, settings: Settings, data: Dataset, slots: int = 1, **more: Any
) -> SessionLoop:
    referees = [FunctionReferee(measure, settings)] * slots
    options = {"base": PROGRAM, "referees": referees, "limits": Limits(since_boot() + 3600), "forecast": expect}
    return session_of(repository, store, Setter(doubled("ALPHA")), settings, data, **options | more)


def said(store: Ledger) -> list[Event]:
    return store.events(1, kind="power")


@pytest.mark.slow
def test_it_is_said_after_the_base_and_again_at_the_end(
    repository: Path, store: Ledger, quick: Settings, bytes_data: Dataset
) -> None:
    session = loop(repository, store, quick, bytes_data)
    session.run()
    (first,) = said(store)
    base = [trial.ended for trial in store.trials(1) if trial.purpose == "base"]
    assert max(each for each in base if each) <= first.at
    gain = f"a gain of {first.data['gain']:.4f} bits per byte (80 % power)"
    assert first.text == f"this night can show {gain}, about 78 experiments"
    assert session.power is not None
    session.power.conclude()
    last = said(store)[-1]
    assert last.data["experiments"] == 1 and last.text.startswith("this night could show a gain of 0.")
    state = status(store, session.context.row, 0.0)
    assert state.power is not None and (state.power.gain, state.power.experiments) == (last.data["gain"], 1)
    assert layout(state, 0.0).pairs["power"].endswith("is kept with a probability of 80 %, 1 experiment")


@pytest.mark.slow
def test_where_earlier_sessions_know_the_noise_it_is_said_at_once(
    repository: Path, store: Ledger, quick: Settings, bytes_data: Dataset
) -> None:
    earlier = store.create_session("earlier", "autoresearch/earlier", "b" * 40, "setter", "default", {}, {}, seed=1)
    base = store.add_experiment(earlier.id, 0)
    for k in range(4):
        trial = store.start_trial(earlier.id, base.id, "base", k, "blob")
        store.end_trial(trial.id, "ok", 2.0 + k / 1000, {})
    session = loop(repository, store, quick, bytes_data, slots=2)
    session.run()
    (event,) = store.events(session.context.id, kind="power")
    assert event.at <= min(trial.started for trial in store.trials(session.context.id))
    assert event.data["experiments"] == pytest.approx(2 * 80, abs=3), "two slots do twice as many"


def test_a_session_of_one_change_says_nothing(
    repository: Path, store: Ledger, quick: Settings, bytes_data: Dataset
) -> None:
    loop(repository, store, quick, bytes_data, forecast=None).run()
    assert said(store) == []
