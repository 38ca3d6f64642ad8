"""When a session stops: its own clock, the ledger's record of how long trials take, and messages that came too late."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.pools import PROGRAM, Setter, doubled, measure
from support.referees import FunctionReferee
from support.repositories import make_repository
from support.sessions import session_of

from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger, trial_seconds
from autoresearch.measure.clock import since_boot
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
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


@pytest.mark.parametrize("reason", ["interrupted", "stopped", "deadline"])
def test_a_trial_that_waits_for_a_node_does_not_keep_the_session(
    reason: str, tmp_path: Path, quick: Settings, bytes_data: Dataset
) -> None:
    root, limits = make_repository(tmp_path / "repository", PROGRAM), Limits()

    def wait_for_node(text: str, seed: int, plan: TrialPlan) -> Result:
        if text == PROGRAM:
            return measure(text, seed, plan)
        assert not plan.is_wait_over()
        if reason == "stopped":
            store.post(1, "stop", "")
        limits.interrupted, limits.until = reason == "interrupted", since_boot() if reason == "deadline" else None
        assert plan.is_wait_over()
        result = Result(seed=seed)
        result.end_early("no node has begun with it")
        return result

    with Ledger.open(root / "runs" / "ledger.db") as store:
        referees, agent = [FunctionReferee(wait_for_node, quick)], Setter(doubled("ALPHA"))
        session = session_of(root, store, agent, quick, bytes_data, referees=referees, limits=limits)
        assert session.run() == reason
        state = "settled" if reason == "deadline" else "measuring"
        assert [row.state for row in store.experiments(1)] == ["settled", state]
        assert not store.has_message(1, "stop")


@pytest.mark.parametrize("kind", ["pause", "stop"])
def test_a_message_that_a_run_did_not_read_is_not_obeyed_by_the_next_one(
    kind: str, tmp_path: Path, quick: Settings, bytes_data: Dataset
) -> None:
    root, limits = make_repository(tmp_path / "repository", PROGRAM), Limits()

    def measure_and_interrupt(text: str, seed: int, plan: TrialPlan) -> Result:
        if text != PROGRAM:
            store.post(1, kind, "")
            limits.interrupted = True
        return measure(text, seed, plan)

    with Ledger.open(root / "runs" / "ledger.db") as store:

        def run(name: str, function: Callable[[str, int, TrialPlan], Result], limits: Limits) -> str:
            referees, agent = [FunctionReferee(function, quick)], Setter(doubled(name))
            return session_of(root, store, agent, quick, bytes_data, referees=referees, limits=limits).run()

        assert run("ALPHA", measure_and_interrupt, limits) == "interrupted" and store.has_message(1, kind)
        assert run("BETA", measure, Limits()) == "agent exhausted"
        assert [row.state for row in store.experiments(1)] == ["settled"] * 3
