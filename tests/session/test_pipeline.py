"""Candidates prepared while trials run, several slots at once, and rebasing a candidate when another is kept."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from support.programs import wait
from support.referees import FunctionReferee
from support.sessions import session_of

from autoresearch.agents.base import Exhausted, Proposal
from autoresearch.analysis import consistency
from autoresearch.brief.brief import Brief
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.ledger import Experiment, Ledger, experiment_rows
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import Limits
from autoresearch.source.rebase import rebase_change
from autoresearch.workspace.texts import merge_texts

SOON = 20.0  # s
TRAIN = """def train(trial):
    trial.start()
    trial.save({}, {})


def load(state, config, device):
    return None


ALPHA = 1.0
BETA = 1.0
GAMMA = 1.0
"""


class Thinker:
    """Sets constants as a list of edits says; its thoughts can be waited for."""

    name, model, repairs = "thinker", None, 0
    proposes: Literal["remotely"] = "remotely"

    def __init__(self, edits: list[tuple[str, float]]) -> None:
        self.edits = edits
        self.briefs: list[Brief] = []
        self.asked = threading.Condition()

    def check(self) -> None:
        """It can always work."""

    def propose(self, brief: Brief) -> Proposal:
        with self.asked:
            self.briefs.append(brief)
            self.asked.notify_all()
        if len(self.briefs) > len(self.edits):
            raise Exhausted("agent exhausted")
        name, value = self.edits[len(self.briefs) - 1]
        return Proposal(re.sub(rf"^{name} = .*", f"{name} = {value}", brief.source, flags=re.M), f"{name} is {value}")

    def was_asked(self, times: int) -> None:
        with self.asked:
            assert self.asked.wait_for(lambda: len(self.briefs) >= times, SOON), f"asked {len(self.briefs)} times"


def score(text: str, seed: int) -> float:
    """The sum of the constants, and a little that follows from the seed."""
    return sum(float(value) for value in re.findall(r"^[A-Z]+ = ([\d.]+)", text, re.M)) + seed % 97 / 1e5


def scored(text: str, seed: int) -> Result:
    value = round(score(text, seed), 6)
    return Result(
        "ok", value, seed=seed, audit={"n": 1.0}, rows=np.array([[1.0, 2.0]]), holdout_bpb=value, total_seconds=0.1
    )


Make = Callable[..., SessionLoop]


@pytest.fixture
def make(repository: Path, quick: Settings, bytes_data: Dataset) -> Iterator[Make]:
    """A session of an agent, with a function of text and seed for trials."""
    with Ledger.open(repository / "runs" / "ledger.db") as store:

        def session(
            agent: Thinker, trial: Callable[[str, int], Result] = scored, slots: int = 1, **options: Any
        ) -> SessionLoop:
            known = {
                "base": TRAIN,
                "referees": [FunctionReferee(lambda text, seed, _: trial(text, seed), quick)] * slots,
                "prepares_ahead": True,
            }
            return session_of(repository, store, agent, quick, bytes_data, **known | options)

        yield session
    assert consistency.check(repository) == []


def rows(session: SessionLoop) -> dict[int, Experiment]:
    found = session.context.ledger.experiments(1)
    assert all(row.state == "settled" for row in found)
    return {row.n: row for row in found}


def test_the_agent_thinks_while_a_trial_runs(make: Make) -> None:
    agent = Thinker([("ALPHA", 2.0), ("BETA", 2.0), ("GAMMA", 2.0)])

    def trial(text: str, seed: int) -> Result:
        if "ALPHA = 2" in text:
            agent.was_asked(2)
        if "BETA = 2" in text:
            agent.was_asked(3)
        return scored(text, seed)

    session = make(agent, trial)
    assert session.run() == "agent exhausted"
    assert [row.verdict for row in rows(session).values()] == ["keep", *["discard"] * 3]
    assert [past.n for past in agent.briefs[1].pending] == [1] and "ALPHA 1.0 -> 2.0" in agent.briefs[1].render()
    assert [past.n for past in agent.briefs[2].history] == [0, 1] and [past.n for past in agent.briefs[2].pending] == [
        2
    ]


def test_an_agent_that_is_quick_knows_every_result(make: Make) -> None:
    agent = Thinker([("ALPHA", 2.0), ("BETA", 2.0)])
    session = make(agent, prepares_ahead=False)
    session.run()
    assert [(brief.n, len(brief.history), brief.pending) for brief in agent.briefs] == [
        (1, 1, []),
        (2, 2, []),
        (3, 3, []),
    ]


def test_a_candidate_that_waited_is_made_to_the_new_incumbent(make: Make) -> None:
    agent = Thinker([("ALPHA", 0.5), ("BETA", 0.5)])

    def trial(text: str, seed: int) -> Result:
        if "ALPHA = 0.5" in text:
            wait(lambda: session.pipeline.ready or len(agent.briefs) > 2, "a candidate that is ready")
        return scored(text, seed)

    session = make(agent, trial)
    assert session.run() == "agent exhausted"
    found = rows(session)
    assert {n: row.verdict for n, row in found.items()} == {0: "keep", 1: "keep", 2: "discard", 3: "keep"}
    assert found[2].reason == "superseded by experiment 1" and found[2].val_bpb is None
    assert (found[3].origin, found[3].parent, found[3].hypothesis) == (2, 1, "BETA is 0.5")
    whole = session.context.ledger.experiment(1, 3)
    assert whole is not None and whole.text == TRAIN.replace("ALPHA = 1.0", "ALPHA = 0.5").replace(
        "BETA = 1.0", "BETA = 0.5"
    )
    assert all(trial.experiment_id != found[2].id for trial in session.context.ledger.trials(1))


def test_a_candidate_that_conflicts_with_the_new_incumbent_is_given_up(make: Make) -> None:
    agent = Thinker([("ALPHA", 0.5), ("ALPHA", 0.7)])

    def trial(text: str, seed: int) -> Result:
        if "ALPHA = 0.5" in text:
            wait(lambda: session.pipeline.ready or len(agent.briefs) > 2, "a candidate that is ready")
        return scored(text, seed)

    session = make(agent, trial)
    assert session.run() == "agent exhausted"
    found = rows(session)
    assert len(found) == 3 and found[2].reason == "superseded by experiment 1, with which it conflicts"


def test_what_is_ready_when_the_time_is_up_is_settled_unmeasured(make: Make) -> None:
    agent, limits = Thinker([("ALPHA", 2.0), ("BETA", 2.0)]), Limits()

    def trial(text: str, seed: int) -> Result:
        if "ALPHA = 2" in text:
            wait(lambda: bool(session.pipeline.ready), "a candidate that is ready")
            limits.until = 0.0
        return scored(text, seed)

    session = make(agent, trial, limits=limits)
    assert session.run() == "deadline"
    assert rows(session)[2].reason == "it was not measured: the session ended"


def test_what_is_ready_at_an_interrupt_is_measured_by_the_next_run(make: Make) -> None:
    agent, limits = Thinker([("ALPHA", 2.0), ("BETA", 2.0)]), Limits()

    def trial(text: str, seed: int) -> Result:
        if "ALPHA = 2" in text:
            wait(lambda: bool(session.pipeline.ready), "a candidate that is ready")
            limits.interrupted = True
        return scored(text, seed)

    session = make(agent, trial, limits=limits)
    assert session.run() == "interrupted"
    assert [row.state for row in session.context.ledger.unfinished_experiments(1)] == ["committed"]
    second = make(Thinker([]))
    assert second.run() == "agent exhausted"
    assert rows(second)[2].val_bpb is not None


def test_no_more_is_proposed_than_will_be_measured(make: Make) -> None:
    agent = Thinker([("ALPHA", 2.0), ("BETA", 2.0), ("GAMMA", 2.0)])
    session = make(agent, limits=Limits(max_experiments=2))
    assert session.run() == "max experiments"
    assert len(rows(session)) == 3 and len(agent.briefs) == 2


def test_slots_work_at_the_same_time(make: Make) -> None:
    names = ("ALPHA", "BETA", "GAMMA")
    agent = Thinker([(name, value) for value in (2.0, 3.0) for name in names])
    together = threading.Barrier(2)

    def trial(text: str, seed: int) -> Result:
        if text != TRAIN and sum(f"{name} = {value}" in text for name in names for value in ("2.0", "3.0")):
            together.wait(SOON)
        return scored(text, seed)

    session = make(agent, trial, slots=2)
    assert session.run() == "agent exhausted"
    assert [row.verdict for row in rows(session).values()] == ["keep", *["discard"] * 6]


def test_two_gains_on_two_slots_become_one_stack(make: Make) -> None:
    agent = Thinker([("ALPHA", 0.5), ("BETA", 0.5)])
    together = threading.Barrier(2)
    first = {"ALPHA = 0.5", "BETA = 0.5"}

    def trial(text: str, seed: int) -> Result:
        if found := next((edit for edit in first if edit in text), None):
            first.discard(found)
            together.wait(SOON)
        return scored(text, seed)

    session = make(agent, trial, slots=2)
    assert session.run() == "agent exhausted"
    found = rows(session)
    kept = [row for row in found.values() if row.verdict == "keep"]
    best = session.context.ledger.experiment(1, kept[-1].n)
    assert best is not None and "ALPHA = 0.5" in known(best.text) and "BETA = 0.5" in known(best.text)
    assert sum("superseded" in known(row.reason) for row in found.values()) == 1


def test_an_error_on_one_slot_ends_the_session_on_all(make: Make) -> None:
    agent = Thinker([("ALPHA", 2.0), ("BETA", 2.0)])

    def trial(text: str, seed: int) -> Result:
        return Result("infra", reason="no cell") if "ALPHA = 2" in text else scored(text, seed)

    session = make(agent, trial, slots=2)
    with pytest.raises(UserError, match="a trial could not be run: no cell"):
        session.run()


def test_an_agent_that_fails_ends_the_session_when_nothing_is_ready_any_more(make: Make) -> None:
    class Broken(Thinker):
        def propose(self, brief: Brief) -> Proposal:
            if len(self.briefs) == len(self.edits):
                raise UserError("the disk is full")
            return super().propose(brief)

    session = make(Broken([("ALPHA", 2.0)]))
    with pytest.raises(UserError, match="the disk is full"):
        session.run()
    assert rows(session)[1].verdict == "discard"


def known(text: str | None) -> str:
    assert text is not None
    return text


# --- changes made to another version


def test_constants_next_to_each_other_are_no_conflict() -> None:
    onto = TRAIN.replace("ALPHA = 1.0", "ALPHA = 2.0")
    found = rebase_change(merge_texts, TRAIN, TRAIN.replace("BETA = 1.0", "BETA = 3.0"), onto)
    assert found == onto.replace("BETA = 1.0", "BETA = 3.0")
    assert rebase_change(merge_texts, TRAIN, TRAIN.replace("ALPHA = 1.0", "ALPHA = 3.0"), onto) is None


def test_other_changes_are_merged_by_lines() -> None:
    changed = TRAIN.replace("trial.start()\n", "trial.start()\n    print('x')\n")
    onto = TRAIN.replace("return None", "return print")
    assert rebase_change(merge_texts, TRAIN, changed, onto) == changed.replace("return None", "return print")
    other = TRAIN.replace("trial.start()\n", "trial.start()\n    print('y')\n")
    assert rebase_change(merge_texts, TRAIN, changed, other) is None


# --- several proposals from one conversation


class Prolific(Thinker):
    """Gives as many edits as the brief wants in one conversation, and says what it cost."""

    def propose(self, brief: Brief) -> Proposal:
        self.briefs.append(brief)
        if not self.edits:
            raise Exhausted("agent exhausted")
        edits, self.edits = self.edits[: brief.proposals], self.edits[brief.proposals :]
        first, *more = [
            Proposal(
                re.sub(rf"^{name} = .*", f"{name} = {value}", brief.source, flags=re.M),
                f"{name} is {value}",
                cost_usd=0.3 / len(edits),
            )
            for name, value in edits
        ]
        return replace(first, more=tuple(more))


def slowly(text: str, seed: int) -> Result:
    """A trial of 20 s, as its result says."""
    return replace(scored(text, seed), total_seconds=20.0)


def test_one_conversation_gives_as_many_proposals_as_a_model_needs_time_for(make: Make) -> None:
    agent = Prolific([("ALPHA", 2.0), ("BETA", 2.0), ("GAMMA", 2.0), ("ALPHA", 3.0)])
    session = make(agent, slowly, proposals=3)
    assert session.run() == "agent exhausted"
    found = rows(session)
    assert agent.briefs[0].proposals == 3 and [found[n].hypothesis for n in (1, 2, 3)] == [
        "ALPHA is 2.0",
        "BETA is 2.0",
        "GAMMA is 2.0",
    ]
    assert [found[n].params.get("conversation") for n in (1, 2, 3)] == [1, 1, 1]
    assert all(found[n].parent == 0 and found[n].val_bpb is not None for n in (1, 2, 3))
    listed = experiment_rows(session.context.ledger, session.context.row)
    assert sum(known_cost(row.cost_usd) for row in listed[1:4]) == pytest.approx(0.3)


def test_a_long_trial_leaves_time_for_one_proposal_at_a_time(make: Make) -> None:
    agent = Prolific([("ALPHA", 2.0), ("BETA", 2.0)])

    def trial(text: str, seed: int) -> Result:
        return replace(scored(text, seed), total_seconds=320.0)

    session = make(agent, trial, proposals=3)
    session.run()
    assert {brief.proposals for brief in agent.briefs} == {1}


def test_a_second_proposal_is_made_to_the_first_where_that_is_kept(make: Make) -> None:
    agent = Prolific([("ALPHA", 0.5), ("BETA", 0.5)])
    session = make(agent, slowly, proposals=3)
    session.run()
    found = rows(session)
    assert {n: row.verdict for n, row in found.items()} == {0: "keep", 1: "keep", 2: "discard", 3: "keep"}
    assert found[3].origin == 2 and "conversation" not in found[3].params


def test_a_refused_proposal_does_not_take_the_others_with_it(make: Make) -> None:
    agent = Prolific([("ALPHA", 1.001), ("BETA", 2.0), ("BETA", 2.001)])
    session = make(agent, slowly, proposals=3)
    session.run()
    found = {known(row.hypothesis): row for row in rows(session).values()}
    assert found["ALPHA is 1.001"].verdict == "duplicate" and found["BETA is 2.0"].verdict == "discard"
    assert found["BETA is 2.001"].verdict == "duplicate" and len(agent.briefs) == 2


def test_no_more_is_asked_for_than_will_be_measured(make: Make) -> None:
    agent = Prolific([("ALPHA", 2.0), ("BETA", 2.0), ("GAMMA", 2.0)])
    session = make(agent, slowly, proposals=3, limits=Limits(max_experiments=2))
    assert session.run() == "max experiments"
    assert agent.briefs[0].proposals == 2 and len(rows(session)) == 3


def test_a_slow_agent_works_two_candidates_ahead(make: Make) -> None:
    agent = Thinker([("ALPHA", 2.0), ("BETA", 2.0), ("GAMMA", 2.0), ("ALPHA", 3.0), ("BETA", 3.0)])

    def trial(text: str, seed: int) -> Result:
        if text != TRAIN:  # the agent seems to take half as long again as a trial
            session.context.ledger.event(1, "proposed", "", data={"seconds": 1e4})
        if "BETA = 2" in text:
            wait(lambda: len(session.pipeline.ready) >= 2, "two candidates that are ready")
        return slowly(text, seed)

    session = make(agent, trial)
    assert session.run() == "agent exhausted"


def known_cost(cost: float | None) -> float:
    assert cost is not None
    return cost
