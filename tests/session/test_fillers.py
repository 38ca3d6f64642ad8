"""Fillers: what runs while the agent works and no candidate is ready, and what becomes of its score."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from itertools import chain, cycle, repeat
from pathlib import Path
from statistics import fmean
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
from autoresearch.ledger import Experiment, Ledger, Trial, status
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session import pipeline
from autoresearch.session.events import LedgerEvent
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import Limits

BASE = (
    "def train(trial):\n    pass\n\n\ndef load(state, config, device):\n    return None\n\n\nALPHA = 1.0\nBETA = 1.0\n"
)
Measure = Callable[[str, int, TrialPlan], Result]
Make = Callable[..., SessionLoop]


class Ponderer:
    """Sets ALPHA to each value, and thinks before each until it may answer."""

    name, model, repairs = "ponderer", None, 0
    proposes: Literal["remotely"] = "remotely"

    def __init__(self, values: list[float], until: Callable[[int], bool]) -> None:
        self.values, self.until = values, until
        self.asked = 0

    def check(self) -> None:
        """It can always work."""

    def propose(self, brief: Brief) -> Proposal:
        self.asked += 1
        turn = self.asked
        wait(lambda: self.until(turn), f"what answer {turn} waits for")
        if turn > len(self.values):
            raise Exhausted("agent exhausted")
        value = self.values[turn - 1]
        return Proposal(re.sub(r"^ALPHA = .*", f"ALPHA = {value}", brief.source, flags=re.M), f"ALPHA is {value}")


def good(score: float, seed: int) -> Result:
    return Result(
        "ok", score, seed=seed, audit={"n": 1.0}, rows=np.array([[1.0, 2.0]]), holdout_bpb=score, total_seconds=0.1
    )


def endless(plan: TrialPlan) -> Result:
    """A trial that lasts until nobody wants it."""
    wait(plan.is_unwanted, "a trial that is not wanted any more")
    result = Result()
    result.end_early("ended early: it was not wanted any more")
    return result


@pytest.fixture
def make(repository: Path, quick: Settings, bytes_data: Dataset, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    monkeypatch.setattr(pipeline, "FILL_AFTER_S", 0.05)
    monkeypatch.setattr(pipeline, "POLL_S", 0.02)
    with Ledger.open(repository / "runs" / "ledger.db") as store:

        def session(agent: Ponderer, measure: Measure, slots: int = 1, **options: Any) -> SessionLoop:
            known = {"base": BASE, "referees": [FunctionReferee(measure, quick)] * slots, "prepares_ahead": True}
            return session_of(repository, store, agent, quick, bytes_data, **known | options)

        yield session
    assert consistency.check(repository) == []


def fillers(session: SessionLoop) -> list[Trial]:
    return [trial for trial in session.context.ledger.trials(1) if trial.purpose == "filler"]


def of(session: SessionLoop, n: int) -> Experiment:
    return session.context.experiment(n)


def near(text: str, seed: int) -> float:
    """Score near 1 for the base, 1 more for each unit of ALPHA beyond 1."""
    alpha = float(re.findall(r"^ALPHA = ([\d.]+)", text, re.M)[0])
    return alpha + seed % 97 / 1e5


def test_a_filler_ends_when_a_candidate_is_ready_and_leaves_no_score(make: Make) -> None:
    begun = threading.Event()

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        is_filler = text == BASE and len(session.context.ledger.trials(1)) > 2
        if not is_filler or begun.is_set():
            return good(near(text, seed), seed)
        begun.set()
        return endless(plan)

    session = make(Ponderer([2.0], lambda turn: turn > 1 or begun.is_set()), measure)
    assert session.run() == "agent exhausted"
    first = fillers(session)[0]
    assert (first.outcome, first.val_bpb, first.result["ended_early"]) == ("infra", None, True)
    assert first.experiment_id == of(session, 0).id and first.ended is not None
    shown = status(session.context.ledger, session.context.row, time.time())
    assert shown.lost == 0 and shown.time_split["filler"] > 0 and of(session, 1).verdict == "discard"
    files = sorted(path.name for path in session.context.artefacts(0).folder.glob("trial-*.json"))
    assert len(files) == len(session.evidence.trials(of(session, 0)))


def test_a_filler_that_ends_by_itself_is_a_fresh_draw_of_the_incumbent(make: Make) -> None:
    session = make(
        Ponderer([2.0], lambda turn: turn > 1 or len(session.evidence.trials(of(session, 0))) >= 4),
        lambda text, seed, plan: good(near(text, seed), seed),
    )
    session.run()
    draws = session.evidence.trials(of(session, 0))
    assert sum(trial.purpose == "filler" for trial in draws) >= 2
    assert len({trial.seed for trial in draws}) == len(draws)
    assert session.evidence.scores(of(session, 0)) == [trial.val_bpb for trial in draws]
    assert of(session, 1).verdict == "discard"


def test_a_filler_that_fails_says_nothing_and_is_not_repeated(make: Make) -> None:
    """A failure may come before the candidate does, where a good trial would not have ended in time."""

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        if text == BASE and len(session.context.ledger.trials(1)) > 2:
            return Result("crash", reason="RuntimeError: on some seeds")
        return good(near(text, seed), seed)

    session = make(Ponderer([2.0], lambda turn: turn > 1 or bool(fillers(session))), measure)
    assert session.run() == "agent exhausted"
    assert [trial.outcome for trial in fillers(session)] == ["crash"]
    assert len(session.evidence.trials(of(session, 0))) == 2 and of(session, 1).verdict == "discard"


def test_a_filler_is_asked_for_no_more_than_its_score(make: Make) -> None:
    """Its length must not depend on its score: each claim is audited, and none is measured on the holdout."""
    plans = []

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        if text == BASE and len(session.context.ledger.trials(1)) > 2:
            plans.append((plan.loses_above, plan.wants_holdout(-1.0), plan.audit_factor))
        return good(near(text, seed), seed)

    session = make(Ponderer([], lambda turn: bool(plans)), measure)
    session.run()
    assert set(plans) == {(None, False, 1)}


@pytest.mark.parametrize("ends", ["interrupt", "stop", "deadline"])
def test_a_filler_ends_with_the_session(make: Make, ends: str) -> None:
    limits, begun = Limits(), threading.Event()

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        if text != BASE or len(session.context.ledger.trials(1)) <= 2:
            return good(near(text, seed), seed)
        begun.set()
        if ends == "interrupt":
            limits.interrupted = True
        elif ends == "stop":
            session.context.ledger.post(1, "stop", "")
        else:
            limits.until = 0.0
        return endless(plan)

    agent = Ponderer([2.0], lambda turn: begun.is_set() and session.control.ending is not None)
    session = make(agent, measure, limits=limits)
    assert session.run() == {"interrupt": "interrupted", "stop": "stopped", "deadline": "deadline"}[ends]
    assert [trial.outcome for trial in fillers(session)] == ["infra"]


def test_a_filler_ends_with_a_pause_and_another_begins_after_it(make: Make) -> None:
    paused = threading.Event()

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        if text != BASE or len(session.context.ledger.trials(1)) <= 2 or paused.is_set():
            return good(near(text, seed), seed)
        paused.set()
        session.context.ledger.post(1, "pause", "")
        return endless(plan)

    def listen(event: object) -> None:
        if isinstance(event, LedgerEvent) and event.kind == "state" and event.text == "paused":
            states.append(len(fillers(session)))
            session.context.ledger.post(1, "unpause", "")

    states = list[int]()
    agent = Ponderer([2.0], lambda turn: turn > 1 or len(fillers(session)) > 1)
    session = make(agent, measure, listeners=[listen])
    assert session.run() == "agent exhausted"
    assert states == [1] and fillers(session)[0].result["ended_early"] and of(session, 1).verdict == "discard"


def test_a_filler_that_was_killed_is_marked_and_not_lost(make: Make) -> None:
    session = make(Ponderer([], lambda turn: True), lambda text, seed, plan: good(near(text, seed), seed))
    session.run()
    base = of(session, 0)
    killed = session.context.ledger.start_trial(1, base.id, "filler", 1, base.blob or "")
    make(Ponderer([], lambda turn: True), lambda text, seed, plan: good(near(text, seed), seed)).run()
    # on a busy machine an answer takes longer than FILL_AFTER_S, so the new session may have fillers of its own
    assert next(trial for trial in fillers(session) if trial.id == killed.id).outcome == "infra"
    assert killed.id not in [trial.id for trial in session.evidence.trials(base)]
    assert status(session.context.ledger, session.context.row, time.time()).lost == 0


def test_each_of_two_slots_has_a_filler_of_its_own(make: Make) -> None:
    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        if text == BASE and len(session.context.ledger.trials(1)) > 2:
            return endless(plan)
        return good(near(text, seed), seed)

    session = make(Ponderer([2.0, 3.0], lambda turn: turn > 2 or bool(fillers(session))), measure, slots=2)
    assert session.run() == "agent exhausted"
    running = {trial.experiment_id for trial in fillers(session)}
    assert running == {of(session, 0).id}  # the incumbent is measured on one slot at a time
    assert {of(session, n).verdict for n in (1, 2)} == {"discard"}


def test_the_greedy_rule_has_no_fillers(make: Make) -> None:
    """It compares with the incumbent's lowest score, which each further draw would lower."""
    agent = Ponderer([2.0], lambda turn: True)
    session = make(agent, lambda text, seed, plan: good(near(text, seed), seed))
    session.context.ledger.update_session(1, judge="greedy")
    session.run()
    assert fillers(session) == []


def test_an_agent_that_is_asked_between_trials_leaves_no_time_for_fillers(make: Make) -> None:
    session = make(
        Ponderer([2.0], lambda turn: True),
        lambda text, seed, plan: good(near(text, seed), seed),
        prepares_ahead=False,
    )
    session.run()
    assert fillers(session) == []


# --- near misses

SCREENED, RERUN = -2.5, -0.8  # sigma, of a candidate that is too close to call, however often the base ran before


def measured_as(later: list[float], was_discarded: Callable[[], bool]) -> Measure:
    """Measure a base with a sigma of 0.01, and a candidate: too close to call, and once discarded as `later` says."""
    base, first, after = cycle([-1.0, 1.0, 0.0]), chain([SCREENED], repeat(RERUN)), cycle(later)
    discarded = False

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        nonlocal discarded
        discarded = discarded or was_discarded()
        return good(1 + 0.01 * next(base if text == BASE else after if discarded else first), seed)

    return measure


def is_settled(session: SessionLoop, n: int) -> bool:
    found = session.context.ledger.experiment(1, n)
    return found is not None and found.state == "settled"


def test_a_near_miss_that_fillers_confirm_is_measured_and_judged_as_a_candidate(make: Make) -> None:
    def may_answer(turn: int) -> bool:
        return turn == 1 or (is_settled(session, 1) and of(session, 1).verdict == "keep")

    session = make(Ponderer([0.9], may_answer), measured_as([-4.0, -3.5], lambda: is_settled(session, 1)), replicates=3)
    assert session.run() == "agent exhausted"
    events = [event for event in session.context.ledger.events(1) if event.n == 1]
    verdicts = [event.text for event in events if event.kind == "verdict"]
    assert verdicts[0].startswith("discard: too close to call") and verdicts[-1].startswith("keep: ")
    reopened = next(event for event in events if event.kind == "reopened")
    trials = session.evidence.trials(of(session, 1))
    assert fillers(session)  # of it, or of the incumbent: which is first depends on the load of the machine
    since = [trial for trial in trials if trial.purpose == "rerun" and trial.started > reopened.at]
    assert since and since[-1].holdout_bpb is not None  # a keep has the audit and the holdout of a re-run
    assert session.context.workspace.best("t") == of(session, 1).sha


def test_a_clock_that_is_set_back_does_not_repeat_the_rerun_of_a_near_miss(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, known, real = Limits(), measured_as([-4.0, -3.5], lambda: is_settled(session, 1)), time.time

    def may_answer(turn: int) -> bool:
        return turn == 1 or (is_settled(session, 1) and of(session, 1).verdict == "keep")

    def listen(event: object) -> None:
        if isinstance(event, LedgerEvent) and event.kind == "reopened":
            monkeypatch.setattr("time.time", lambda: real() - 3600)
        limits.interrupted |= len(session.context.ledger.trials(1)) > 40  # else it goes on for an hour

    session = make(Ponderer([0.9], may_answer), known, limits=limits, listeners=[listen], replicates=3)
    assert session.run() == "agent exhausted"
    assert of(session, 1).verdict == "keep"


def test_a_near_miss_that_fillers_refute_is_none_any_more(make: Make) -> None:
    def may_answer(turn: int) -> bool:
        return turn == 1 or (is_settled(session, 1) and not of(session, 1).near_miss)

    session = make(Ponderer([0.9], may_answer), measured_as([1.5, 2.0], lambda: is_settled(session, 1)), replicates=3)
    assert session.run() == "agent exhausted"
    row = of(session, 1)
    assert row.verdict == "discard" and (row.p_gain or 0) < 0.25
    trials, of_base = (session.evidence.trials(each) for each in (row, of(session, 0)))
    assert any(trial.purpose == "filler" for trial in [*trials, *of_base])
    assert row.val_bpb == pytest.approx(fmean(session.evidence.scores(row)))
    lesson = next(each.line for each in session.lessons.read() if each.key == "t#1")
    assert f"measured {row.delta:+.4f}; {(row.reason or '').split(':')[0]} [t#1, {len(trials)} trials]" in lesson


def test_a_near_miss_that_another_slot_reopened_meanwhile_is_reopened_once(make: Make) -> None:
    known = measured_as([-4.0, -3.5], lambda: is_settled(session, 1))
    others = list[bool]()

    def measure(text: str, seed: int, plan: TrialPlan) -> Result:
        if is_settled(session, 1) and not others:
            others.append(True)
            with session.context.lock:
                while not reopened():
                    session.fillers.measure_again(0, session.referees[0], lambda: False)
        return known(text, seed, plan)

    def reopened() -> int:
        return len(session.context.ledger.events(1, kind="reopened"))

    session = make(Ponderer([0.9], lambda turn: True), measure, replicates=3, prepares_ahead=False)
    assert session.run() == "agent exhausted" and of(session, 1).near_miss
    with session.context.lock:
        again = session.fillers.measure_again(1, session.referees[0], lambda: False)
    assert (again, reopened()) == ([], 1)
    make(Ponderer([], lambda turn: True), known, replicates=3).run()
    assert of(session, 1).verdict == "keep"


@pytest.mark.slow
def test_a_near_miss_that_is_a_candidate_again_survives_a_kill(make: Make) -> None:
    def may_answer(turn: int) -> bool:
        return turn == 1 or any(event.kind == "reopened" for event in session.context.ledger.events(1))

    limits, known = Limits(), measured_as([-4.0, -3.5], lambda: is_settled(session, 1))

    def listen(event: object) -> None:
        limits.interrupted |= isinstance(event, LedgerEvent) and event.kind == "reopened"

    session = make(Ponderer([0.9], may_answer), known, limits=limits, listeners=[listen], replicates=3)
    assert session.run() == "interrupted"
    assert of(session, 1).verdict is None and of(session, 1).state == "measuring"
    make(Ponderer([], lambda turn: True), known, replicates=3).run()
    assert of(session, 1).verdict == "keep"


@pytest.mark.slow
def test_without_time_for_its_rerun_a_near_miss_is_not_kept(make: Make) -> None:
    limits, known = Limits(), measured_as([-4.0, -3.5], lambda: is_settled(session, 1))

    def may_answer(turn: int) -> bool:
        return turn == 1 or any(event.kind == "reopened" for event in session.context.ledger.events(1))

    def listen(event: object) -> None:
        if isinstance(event, LedgerEvent) and event.kind == "reopened":
            limits.until = 0.0

    session = make(Ponderer([0.9], may_answer), known, limits=limits, listeners=[listen], replicates=3)
    assert session.run() == "deadline"
    assert of(session, 1).verdict == "discard" and "before it was confirmed" in (of(session, 1).reason or "")
