"""Pools: near misses that are merged into one candidate, without a call of the agent."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.pools import PROGRAM, Setter, changed_names, doubled, good, measure, moved
from support.referees import FunctionReferee
from support.sessions import session_of

from autoresearch.agents.base import Proposal
from autoresearch.agents.scripted import FixedAgent
from autoresearch.analysis import consistency, near_misses
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Experiment, Ledger, experiment_rows
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session.events import LedgerEvent, SessionEvent
from autoresearch.session.loop import SessionLoop
from autoresearch.session.pooling import PoolFinder
from autoresearch.session.stopping import Limits

Make = Callable[..., SessionLoop]


def measure_harm(text: str, seed: int, plan: TrialPlan) -> Result:
    return good(2.5) if len(changed_names(text)) > 1 else measure(text, seed, plan)


def crash(text: str, seed: int, plan: TrialPlan) -> Result:
    return Result("crash", reason="of a pool") if len(changed_names(text)) > 1 else measure(text, seed, plan)


@pytest.fixture
def make(repository: Path, quick: Settings, bytes_data: Dataset) -> Iterator[Make]:
    with Ledger.open(repository / "runs" / "ledger.db") as store:

        def mark(event: SessionEvent) -> None:
            """Make each discard of a single change a near miss, whatever the judge's thresholds are."""
            if isinstance(event, LedgerEvent) and event.kind == "verdict" and event.n:
                row = store.experiment(1, event.n)
                if row is not None and row.verdict == "discard" and not row.pooled:
                    store.update_experiment(row.id, near_miss=True, p_gain=0.3 + event.n / 1000)

        def session(agent: Any, score: Callable[..., Result] = measure, slots: int = 1, **options: Any) -> SessionLoop:
            referees = [FunctionReferee(score, quick)] * slots
            known = {"base": PROGRAM, "referees": referees, "pool": True, "listeners": [mark]}
            return session_of(repository, store, agent, quick, bytes_data, **known | options)

        yield session
    assert consistency.check(repository) == []


def pools(session: SessionLoop) -> list[Experiment]:
    rows = session.context.ledger.experiments(session.context.id)
    return [session.context.experiment(row.n) for row in rows if row.pooled]


def test_three_near_misses_become_one_candidate_without_a_call(make: Make) -> None:
    agent = Setter(doubled("ALPHA", "BETA", "GAMMA"))
    session = make(agent)
    assert session.run() == "agent exhausted"
    (pool,) = pools(session)
    assert (pool.n, pool.pooled, pool.agent, pool.mode, pool.parent) == (4, [3, 2, 1], "pool", "pool", 0)
    assert pool.hypothesis == "stack near misses 1, 2 and 3" and len(changed_names(pool.text or "")) == 3
    assert pool.verdict == "keep" and pool.categories == ("schedule", "optimiser")
    assert agent.asked == 4, "the pool is no proposal of the agent"
    rows = experiment_rows(session.context.ledger, session.context.row)
    assert [row.pooled for row in rows] == [[], [], [], [], [3, 2, 1]]
    assert near_misses.worth_a_look(session.context.ledger, session.context.row, rows) == []
    message = session.context.workspace.message(pool.sha or "")
    assert "Near-Misses: 3, 2, 1\n" in message


@pytest.mark.slow
@pytest.mark.parametrize(("wanted", "judge"), [(False, "default"), (True, "greedy")])
def test_without_the_setting_or_under_the_greedy_rule_there_are_no_pools(make: Make, wanted: bool, judge: str) -> None:
    session = make(Setter([]))
    session.context.ledger.update_session(1, judge=judge)
    session = make(Setter(doubled("ALPHA", "BETA", "GAMMA")), pool=wanted)
    session.run()
    assert pools(session) == []
    assert sum(row.near_miss for row in session.context.ledger.experiments(1)) == 3


def test_two_are_enough_while_the_agent_is_away(make: Make) -> None:
    stand_in = FixedAgent("stand-in", Proposal(moved(PROGRAM, "ALPHA", 3.0), "ALPHA is 3.0"))
    session = make(Setter(doubled("ALPHA", "BETA"), away_from=2), stand_in=stand_in, limits=Limits(max_experiments=4))
    assert session.run() == "max experiments"
    assert [pool.pooled for pool in pools(session)] == [[3, 2]]


@pytest.mark.slow
def test_changes_that_conflict_are_not_pooled_together(make: Make) -> None:
    moves = [("ALPHA", 2.0), ("ALPHA", 3.0), ("BETA", 2.0)]
    session = make(Setter(moves))
    session.run()
    assert pools(session) == []
    session = make(Setter([*doubled("GAMMA")]))
    session.run()
    assert [pool.pooled for pool in pools(session)] == [[4, 3, 2]]


@pytest.mark.slow
def test_a_set_that_failed_is_not_pooled_again_until_one_part_is_another(make: Make) -> None:
    session = make(Setter(doubled("ALPHA", "BETA", "GAMMA", "DELTA")), measure_harm)
    session.run()
    found = pools(session)
    assert [pool.verdict for pool in found] == ["discard"] * len(found)
    sets = [frozenset(pool.pooled) for pool in found]
    assert sets[0] == {1, 2, 3} and len(sets) == len(set(sets)) <= 2
    rows = session.context.ledger.experiments(1)
    near = near_misses.worth_a_look(session.context.ledger, session.context.row, rows)
    assert not {1, 2, 3} & {row.n for row in near}, "a pool that fails lowers the odds of its parts"


@pytest.mark.slow
def test_a_set_that_crashed_is_not_pooled_again_and_one_with_another_part_is(make: Make) -> None:
    """No trial of it has a score, so the odds of its parts stay as they were."""
    session = make(Setter(doubled("ALPHA", "BETA", "GAMMA", "DELTA")), crash)
    session.run()
    assert [(pool.verdict, sorted(pool.pooled)) for pool in pools(session)] == [
        ("crash", [1, 2, 3]),
        ("crash", [1, 2, 3, 5]),
    ]


@pytest.mark.slow
def test_an_unexpected_error_ends_the_pools_and_not_the_session(make: Make) -> None:
    agent = Setter(doubled("ALPHA", "BETA", "GAMMA", "DELTA"))
    agent.model = None  # it gets no openings
    session = make(agent)
    session.context.ledger.add_experiment(1, 0, hypothesis="the base", text=PROGRAM, params={"pooled": 5})
    assert session.run() == "agent exhausted"
    base = session.context.experiment(0)
    session.context.ledger.update_experiment(base.id, params={})
    assert pools(session) == [] and agent.asked == 5
    (event,) = session.context.ledger.events(1, kind="failed")
    assert event.text.startswith("no more pools: ")


@pytest.mark.slow
def test_one_pool_is_measured_at_a_time(make: Make) -> None:
    session = make(Setter(doubled("ALPHA", "BETA", "GAMMA", "DELTA")), pool=False)
    session.run()
    ledger, finder = session.context.ledger, PoolFinder(session.context, session.evidence)
    pool = ledger.add_experiment(1, 5, parent=0, params={"pooled": [1, 2, 3]}, state="measuring")
    assert finder.find(is_agent_away=False) is None
    ledger.update_experiment(pool.id, state="settled", verdict="discard", reason="the session ended")
    found = finder.find(is_agent_away=False)
    assert found is not None and found.numbers == [4, 3, 2, 1]
    with ledger.transaction() as connection:  # it has no commit
        connection.execute("DELETE FROM experiments WHERE n = 5")


@pytest.mark.slow
def test_a_pool_survives_a_kill_and_is_not_made_twice(make: Make) -> None:
    def killed(text: str, seed: int, plan: TrialPlan) -> Result:
        if len(changed_names(text)) > 1:
            raise KeyboardInterrupt
        return measure(text, seed, plan)

    session = make(Setter(doubled("ALPHA", "BETA", "GAMMA")), killed)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    assert [pool.state for pool in pools(session)] == ["measuring"]
    session = make(Setter([]))
    session.run()
    assert [(pool.n, pool.verdict) for pool in pools(session)] == [(4, "keep")]


@pytest.mark.slow
def test_a_pool_on_two_slots_is_made_once(make: Make) -> None:
    session = make(Setter(doubled("ALPHA", "BETA", "GAMMA", "DELTA")), slots=2)
    session.run()
    assert [pool.verdict for pool in pools(session)].count("keep") == 1


@pytest.mark.slow
def test_near_misses_of_one_line_of_inquiry_count_once(make: Make) -> None:
    session = make(Setter(doubled("ALPHA", "BETA")))
    session.run()
    second = session.context.experiment(2)
    session.context.ledger.update_experiment(second.id, line=1)
    session = make(Setter(doubled("GAMMA")))
    session.run()
    assert pools(session) == []


@pytest.mark.parametrize(("is_away", "expected"), [(True, [[2, 1]]), (False, [])])
def test_away_from_an_exhausted_incumbent_two_are_enough_without_the_setting(
    make: Make, is_away: bool, expected: list[list[int]]
) -> None:
    session = make(Setter(doubled("ALPHA", "BETA")), pool=False)
    session.run()
    if is_away:
        session.context.emit("left", 0, "nothing was kept for long", parents=[1, 2], next=3)
    session = make(Setter([]), pool=False, archive=True)
    session.run()
    assert [pool.pooled for pool in pools(session)] == expected
    returned = session.context.ledger.events(1, kind="returned")
    assert [event.n for event in returned] == [3] * is_away, "the pool was kept"
