"""Sessions with several researchers."""

import re
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.referees import FunctionReferee
from support.sessions import session_of

from autoresearch.agents import registry
from autoresearch.agents.base import BadProposal, Exhausted, InstantAgent, Proposal, Spent, Unavailable
from autoresearch.brief.brief import Brief
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Experiment, Ledger
from autoresearch.ledger.arm_records import arm_records
from autoresearch.measure.clock import since_boot
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session.arms import Arm
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import Limits

NOISE = 0.004


class Tuner(InstantAgent):
    """An agent whose every `gains_every`-th change lowers the score; 0: none does. It writes down the briefs."""

    name = "tuner"

    def __init__(self, gains_every: int = 0) -> None:
        self.gains_every = gains_every
        self.briefs: list[Brief] = []

    def propose(self, brief: Brief) -> Proposal:
        """Change a constant that matters, or one that does not."""
        self.briefs.append(brief)
        tried = len([past for past in [*brief.history, *brief.pending] if past.arm == brief.arm])
        if self.gains_every and tried % self.gains_every == 0:
            return Proposal(_times(brief.source, "SMOOTHING", 0.8), "smoother")
        factor = 1.02 ** (1 + brief.n)
        return Proposal(_times(brief.source, "SHARPNESS", factor), "sharper")


def _times(source: str, name: str, factor: float) -> str:
    found = re.search(rf"{name} = ([\d.]+)", source)
    assert found is not None
    return source.replace(found[0], f"{name} = {float(found[1]) * factor:.6f}", 1)


def measure(text: str, seed: int, plan: TrialPlan) -> Result:
    """Return a score that follows from SMOOTHING, with noise."""
    found = re.search(r"SMOOTHING = ([\d.]+)", text)
    assert found is not None
    score = 3.0 + 0.1 * np.log(float(found[1])) + NOISE * np.random.default_rng(seed).standard_normal()
    return Result("ok", float(score), seed=seed, holdout_bpb=2.1, audit={"n": 1.0}, rows=np.ones((4, 2)))


@pytest.fixture
def night(repository: Path, quick: Settings, bytes_data: Dataset) -> Any:
    """Run a session of these arms; return it, its rows, and its store."""

    def run(*arms: Arm, n: int = 8, **options: Any) -> tuple[SessionLoop, list[Experiment], str]:
        with Ledger.open(repository / "runs" / "ledger.db") as store:
            inputs = {"referees": [FunctionReferee(measure, quick)], "limits": Limits(max_experiments=n), **options}
            loop = session_of(repository, store, arms[0].agent, quick, bytes_data, arms=arms, **inputs)
            reason = loop.run()
            return loop, store.experiments(1)[1:], reason

    return run


@pytest.mark.slow
def test_each_proposal_carries_its_arm_and_each_arm_reads_its_own_program(repository: Path, night: Any) -> None:
    (repository / "program-b.md").write_text("be bold\n")
    one, two, none = Tuner(), Tuner(), Tuner()
    arms = Arm(one, "one", repository / "program.md"), Arm(two, "two", repository / "program-b.md"), Arm(none, "none")
    _, rows, reason = night(*arms, n=6)
    assert reason == "max experiments"
    assert Counter(row.arm for row in rows) == {"one": 2, "two": 2, "none": 2}
    assert {brief.program for brief in two.briefs} == {"be bold\n"} and {brief.program for brief in none.briefs} == {""}
    assert len({row.program_hash for row in rows}) == 3
    assert {brief.arm for brief in one.briefs} == {"one"}


class Failing(Tuner):
    """An agent that fails in these ways, one after the other, and then works as a Tuner; the last one may repeat."""

    def __init__(self, *faults: Exception, for_ever: bool = False, program: str = "") -> None:
        super().__init__()
        self.faults, self.for_ever, self.program, self.asked = list(faults), for_ever, program, 0

    def propose(self, brief: Brief) -> Proposal:
        self.asked += 1
        if self.faults and self.program in brief.program:
            raise self.faults[0] if self.for_ever else self.faults.pop(0)
        return super().propose(brief)


def test_an_arm_that_is_away_is_passed_over_until_it_is_back(repository: Path, night: Any) -> None:
    away = Failing(Unavailable("busy", time.time() + 3600), for_ever=True)
    _, rows, _ = night(Arm(away, "away"), Arm(Tuner(), "here"), n=4, stand_in=registry.create("sweep"))
    assert away.asked == 1 and Counter(row.arm for row in rows) == {"here": 4}
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        [absent] = store.events(1, kind="absent")
    assert absent.text == "away cannot be asked (busy): the other arms propose meanwhile"


def test_the_stand_in_proposes_only_where_no_arm_can_be_asked(repository: Path, night: Any) -> None:
    gone = [Failing(Spent("max usd"), for_ever=True), Failing(Unavailable("busy", time.time() + 3600), for_ever=True)]
    _, rows, reason = night(Arm(gone[0], "one"), Arm(gone[1], "two"), n=3, stand_in=registry.create("sweep"))
    assert reason == "max experiments" and [agent.asked for agent in gone] == [1, 1]
    assert [(row.arm, row.agent) for row in rows] == [(None, "sweep")] * 3


@pytest.mark.slow
def test_a_session_ends_when_all_arms_are_exhausted(repository: Path, night: Any) -> None:
    done, later = Exhausted("agent exhausted"), Failing()
    short, long = Failing(done, for_ever=True), later
    _, rows, reason = night(Arm(short, "short"), Arm(long, "long"), n=3)
    assert (reason, short.asked) == ("max experiments", 1) and {row.arm for row in rows} == {"long"}
    _, rows, reason = night(Arm(Failing(done, for_ever=True), "a"), Arm(Failing(done, for_ever=True), "b"), n=9)
    assert reason == "agent exhausted"


@pytest.mark.slow
def test_a_program_that_makes_an_agent_break_its_edits_costs_no_session(repository: Path, night: Any) -> None:
    (repository / "program-b.md").write_text("break it\n")
    bad = [BadProposal("the edit does not apply")]
    arms = [
        Arm(Failing(*bad, for_ever=True, program="break"), name, repository / f"{file}.md")
        for name, file in (("good", "program"), ("bad", "program-b"))
    ]
    _, rows, reason = night(*arms, n=12)
    assert reason == "max experiments" and {row.arm for row in rows} == {"good"}
    assert arms[1].health.until > since_boot() and arms[1].agent.asked == 6  # then it is away for ten minutes


def test_records_credit_what_the_judge_kept(repository: Path, night: Any) -> None:
    night(Arm(Tuner(gains_every=1), "good"), Arm(Tuner(), "idle"), n=6)
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        session = store.find_session("t")
        good, idle = arm_records(store, session, ["good", "idle"], 0.0)
        keeps = store.experiments(1, verdict="keep")[1:]
        priced, _ = arm_records(store, session, ["good", "idle"], 3600.0)
    assert keeps and sum(good.gains) == pytest.approx(-sum(row.delta or 0.0 for row in keeps))
    assert (len(good.gains), len(idle.gains), set(idle.gains)) == (3, 3, {0.0})
    assert min(good.costs) > 0 and priced.costs == pytest.approx(good.costs)  # a dollar a second


def shares(rows: list[Experiment], after: int) -> dict[str, float]:
    """Return the share of each arm in the proposals after so many; changes that were made again do not count."""
    named = [str(row.arm) for row in rows if row.origin is None][after:]
    return {name: count / len(named) for name, count in Counter(named).items()}


@pytest.mark.slow
def test_the_arm_that_finds_gains_gets_most_proposals(night: Any) -> None:
    _, rows, _ = night(Arm(Tuner(gains_every=3), "finder"), Arm(Tuner(), "idle"), n=80)
    assert shares(rows, 40)["finder"] > 0.7
    assert shares(rows, 0)["idle"] > 0.1


@pytest.mark.slow
def test_equal_arms_share_the_proposals(night: Any) -> None:
    _, rows, _ = night(Arm(Tuner(gains_every=3), "one"), Arm(Tuner(gains_every=3), "two"), n=80)
    assert 0.25 <= shares(rows, 40)["one"] <= 0.75
