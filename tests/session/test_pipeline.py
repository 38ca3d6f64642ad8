"""Candidates prepared while trials run, several slots at once, and rebasing a candidate when another is kept."""

import errno
import itertools
import re
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from support.programs import wait
from support.referees import FunctionReferee
from support.sessions import session_of

from autoresearch.agents.base import Conversed, Deliver, Exhausted, Proposal
from autoresearch.analysis import consistency
from autoresearch.analysis.sft import read_trace
from autoresearch.brief.brief import Brief
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.files import JsonObject
from autoresearch.hardware import CardMemory
from autoresearch.ledger import Experiment, Ledger, back_up, experiment_rows, status
from autoresearch.ledger.breakdown import sum_groups
from autoresearch.ledger.rows import kept_as
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import Limits
from autoresearch.source.rebase import find_conflicts, rebase_change
from autoresearch.workspace.git import GitError
from autoresearch.workspace.texts import merge_texts
from autoresearch.workspace.workspace import Workspace

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


class Chooser:
    """Propose constants, each with what it says of its origin; a brief is kept for each."""

    name, repairs = "chooser", 0
    model: str | None = "a-model"
    proposes: Literal["instantly"] = "instantly"

    def __init__(self, *edits: tuple[str, float, str, int | None]) -> None:
        self.edits = list(edits)
        self.briefs: list[Brief] = []
        self.texts: dict[int | None, str] = {0: TRAIN}

    def check(self) -> None:
        """It can always work."""

    def propose(self, brief: Brief) -> Proposal:
        self.briefs.append(brief)
        if not self.edits:
            raise Exhausted("agent exhausted")
        name, value, opening, start = self.edits.pop(0)
        before = self.texts.get(start, brief.source)
        text = re.sub(rf"^{name} = .*", f"{name} = {value}", before, flags=re.M)
        self.texts[brief.n] = text
        return Proposal(text, f"{name} is {value}", opening=opening, start_from=start)


class Thinker:
    """Sets constants as a list of edits says; its thoughts can be waited for."""

    name, model, repairs = "thinker", None, 0
    proposes: Literal["remotely"] = "remotely"

    def __init__(self, edits: list[tuple[str, float]], predicted: float | None = None) -> None:
        self.edits, self.predicted = edits, predicted
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
        text = re.sub(rf"^{name} = .*", f"{name} = {value}", brief.source, flags=re.M)
        return Proposal(text, f"{name} is {value}", predicted=self.predicted)

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
            agent: Any,
            trial: Callable[[str, int], Result] = scored,
            slots: int = 1,
            metric: JsonObject | None = None,
            **options: Any,
        ) -> SessionLoop:
            if metric:
                head = Workspace(repository).head()
                store.create_session("t", "autoresearch/t", head, agent.name, "default", metric, {}, seed=5)
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
        result = scored(text, seed)
        result.total_seconds = 60.0  # longer than a conversation, also on a busy machine: one candidate is made ahead
        return result

    session = make(agent, trial)
    assert session.run() == "agent exhausted"
    assert [row.verdict for row in rows(session).values()] == ["keep", *["discard"] * 3]
    assert [past.n for past in agent.briefs[1].pending] == [1] and "ALPHA 1.0 -> 2.0" in agent.briefs[1].render()
    assert [past.n for past in agent.briefs[2].history] == [0, 1] and [past.n for past in agent.briefs[2].pending] == [
        2
    ]


def test_the_agent_thinks_while_the_base_is_measured_once_it_has_trained(make: Make) -> None:
    agent, trials = Thinker([("ALPHA", 2.0)]), list[int]()

    def trial(text: str, seed: int) -> Result:
        if text == TRAIN:
            trials.append(len(agent.briefs))
            if len(trials) > 1:
                agent.was_asked(1)
        return scored(text, seed)

    session = make(agent, trial)
    assert session.run() == "agent exhausted"
    assert trials[0] == 0 and rows(session)[1].verdict == "discard"
    told = agent.briefs[0].render()
    assert agent.briefs[0].incumbent_score == pytest.approx(3.0, abs=0.01) and agent.briefs[0].history == []
    assert "(sigma) is not known yet: the base is still being measured" in told


def test_a_base_that_fails_costs_no_proposal(make: Make) -> None:
    agent = Thinker([("ALPHA", 2.0)])
    session = make(agent, lambda text, seed: Result("crash", reason="no", seed=seed))
    with pytest.raises(UserError, match=r"the base train\.py fails"):
        session.run()
    assert agent.briefs == []


def test_what_is_refused_while_the_base_is_measured_is_settled(make: Make) -> None:
    agent = Prolific([("ALPHA", 1.001), ("ALPHA", 1.002), ("ALPHA", 1.003), ("BETA", 2.0)])

    def trial(text: str, seed: int) -> Result:
        if text == TRAIN and agent.briefs:
            wait(lambda: len(agent.briefs) > 1, "the next conversation")
        return slowly(text, seed)

    session = make(agent, trial, proposals=3, replicates=3)
    assert session.run() == "agent exhausted"
    assert [rows(session)[n].verdict for n in (1, 2, 3, 4)] == ["duplicate"] * 3 + ["discard"]


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


def test_what_lies_inside_the_noise_is_no_near_miss(make: Make) -> None:
    def trial(text: str, seed: int) -> Result:
        value = 3.0 + score(text, 0) / 1e6 + seed % 7 / 1e4
        return replace(scored(text, seed), val_bpb=value)

    session = make(Thinker([("ALPHA", 2.0), ("ALPHA", 3.0), ("BETA", 4.0)]), trial, prepares_ahead=False)
    session.run()
    tried = [row for row in rows(session).values() if row.n and row.delta and row.sigma and row.p_gain]
    assert any(abs(row.delta or 0) < (row.sigma or 0) for row in tried), [(row.delta, row.sigma) for row in tried]
    assert [row.near_miss for row in tried] == [(row.p_gain or 0) >= 0.25 for row in tried] == [False] * 3


def test_the_opening_that_was_taken_is_recorded_with_its_origin(make: Make) -> None:
    agent = Chooser(
        ("ALPHA", 0.9, "own", None),  # a keep
        ("BETA", 1.2, "untried optimiser", None),
        ("GAMMA", 1.2, "own", 2),  # on a version that is built on the incumbent
        ("GAMMA", 0.9, "branch 0", 0),  # on a version that is not
        ("BETA", 1.4, "refine 2", None),  # 2 is no near miss, and was not offered
    )
    session = make(agent, prepares_ahead=False)
    session.run()
    found = rows(session)
    told = {n: (row.mode, row.parent, row.line, row.params.get("opening")) for n, row in found.items() if n}
    assert told == {
        1: ("climb", 0, None, "own"),
        2: ("untried", 1, None, "untried optimiser"),
        3: ("climb", 2, 2, "own"),
        4: ("branch", 0, None, "branch 0"),
        5: ("climb", 1, None, "refine 2"),
    }
    assert found[3].change == "BETA 1.0 -> 1.2, GAMMA 1.0 -> 1.2", "against the incumbent, like its score"
    assert found[4].change == "ALPHA 0.9 -> 1.0, GAMMA 1.0 -> 0.9" and (found[4].delta or 0) == pytest.approx(
        0, abs=1e-3
    )
    with Ledger.open(session.context.ledger.path, readonly=True) as store:
        groups = sum_groups(experiment_rows(store, session.context.row), [], "mode")
    assert {group.key: group.experiments for group in groups} == {"climb": 3, "untried": 1, "branch": 1}


class Latecomer(Thinker):
    """Change, the second time, the version that was kept while it thought."""

    model = "a-model"
    ledger: Path

    def propose(self, brief: Brief) -> Proposal:
        with self.asked:
            self.briefs.append(brief)
            self.asked.notify_all()
        if len(self.briefs) > 2:
            raise Exhausted("agent exhausted")
        if len(self.briefs) == 1:
            return Proposal(brief.source.replace("ALPHA = 1.0", "ALPHA = 0.5"), "the first")
        wait(self._kept, "a keep")
        return Proposal(self._kept().replace("BETA = 1.0", "BETA = 0.5"), "the second", start_from=1)

    def _kept(self) -> str:
        with Ledger.open(self.ledger, readonly=True) as store:
            row = store.experiment(1, 1)
        return (row.text or "") if row is not None and row.state == "settled" else ""


def test_a_version_that_was_kept_meanwhile_may_be_changed(make: Make) -> None:
    agent = Latecomer([])

    def trial(text: str, seed: int) -> Result:
        if "ALPHA = 0.5" in text:
            agent.was_asked(2)
        return scored(text, seed)

    session = make(agent, trial)
    agent.ledger = session.context.ledger.path
    assert session.run() == "agent exhausted"
    found = rows(session)
    assert agent.briefs[1].incumbent == 0 and [row.verdict for row in found.values()] == ["keep"] * 3
    assert (found[2].parent, found[2].mode, found[2].change) == (1, "climb", "BETA 1.0 -> 0.5")


def test_a_brief_offers_what_the_ledger_has_and_states_the_facts_of_the_incumbent(make: Make) -> None:
    def trial(text: str, seed: int) -> Result:
        reported = {"step": 40.0 if "BETA = 1.2" in text else 50.0}
        if "GAMMA = 2" in text:
            return Result("nothing_saved", reason="too late", seed=seed, total_seconds=0.1)
        return replace(scored(text, seed), reported=reported, margin=0.125, train_seconds=1.0)

    session = make(Chooser(("BETA", 1.2, "own", None), ("GAMMA", 2.0, "own", None)), trial, prepares_ahead=False)
    session.run()
    store, briefing = session.context.ledger, session.candidates.briefing
    store.update_experiment(rows(session)[1].id, near_miss=True, p_gain=0.4)
    briefing.history.clear()
    brief = briefing.write(3)
    assert [each.label for each in brief.openings] == ["refine 1", "repair 2", "untried"]
    assert brief.versions[1] == TRAIN.replace("BETA = 1.0", "BETA = 1.2")
    text = brief.render()
    assert "| 40 | discard, near miss, odds 40 % |" in text and "crash: nothing_saved: too late" in text
    assert "+BETA = 1.2" in text, "the change of a near miss is shown"
    assert any(line.startswith("| 1, discard") for line in brief.measured), "it trained, and logged no loss"
    assert ", none failed." in text and "at least 12.5 %" in text


def test_an_agent_without_a_model_is_offered_nothing(make: Make) -> None:
    agent = Chooser(("ALPHA", 2.0, "refine 1", 7))
    agent.model = None
    session = make(agent, prepares_ahead=False)
    session.run()
    assert not any(brief.openings for brief in agent.briefs)
    assert (rows(session)[1].mode, rows(session)[1].parent) == (None, 0)


class Mender:
    """Propose one text, with the result of our check of its function."""

    name, model, repairs = "mender", "a-model", 0
    proposes: Literal["instantly"] = "instantly"

    def __init__(self, **said: Any) -> None:
        self.said = said

    def check(self) -> None:
        """It can always work."""

    def propose(self, brief: Brief) -> Proposal:
        if brief.n > 1:
            raise Exhausted("agent exhausted")
        return Proposal(f"{brief.source}\n\ndef guard():\n    return None\n", "no crash any more", **self.said)


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"category": "bug", "same_as": 0}, "keep"),
        ({"category": "robustness", "same_as": 0}, "keep"),
        ({"category": "bug"}, "discard"),  # nobody checked it
        ({"category": "bug", "params": {"same_as": 0}}, "discard"),  # an agent says so itself
        ({"category": "architecture", "same_as": 0}, "discard"),  # it was meant as a gain
        ({"category": "bug", "same_as": 7}, "discard"),  # of another version
        ({"category": "bug", "same_as": 0, "predicted": 0.99}, "keep"),  # its steps, as a share of the incumbent's
        ({"category": "bug", "same_as": 0, "predicted": 0.98}, "discard"),
    ],
)
def test_a_repair_that_computes_the_same_is_kept_at_the_same_score(
    make: Make, said: dict[str, Any], verdict: str
) -> None:
    noise = itertools.cycle([3.0, 3.0002, 3.0001])

    def trial(text: str, seed: int) -> Result:
        steps = 1000.0 * said.get("predicted", 1.0) if text != TRAIN else 1000.0
        return replace(scored(text, seed), val_bpb=next(noise), reported={"step": steps})

    session = make(Mender(**said), trial, prepares_ahead=False)
    session.run()
    found = rows(session)[1]
    assert found.verdict == verdict
    if verdict == "keep":
        assert found.simpler and kept_as(found) == "the same function at the same score"
        trials = session.context.ledger.trials(1, found.id)
        assert [trial.purpose for trial in trials] == ["screen", "rerun"]
        assert status(session.context.ledger, session.context.row, 0.0).simpler == 1


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
    brief = session.candidates.briefing.write(3)
    assert [each.label for each in brief.openings] == []  # it has no model
    session.candidates.briefing.offers = True
    told = session.candidates.briefing.write(3).changing()
    assert "`repair 2`: never measured, as its change conflicts with a newer incumbent" in told
    meets = "<<<<<<< experiment 1, the incumbent\nALPHA = 0.5\n=======\nALPHA = 0.7\n>>>>>>> experiment 2\n</data>"
    assert meets in told


@pytest.mark.parametrize("goal", ["min", "max"])
@pytest.mark.parametrize(("gain", "second"), [(0.7, 0.7), (0.7, 0.4), (0.4, 0.7)])
def test_a_candidate_in_conflict_is_measured_as_it_is_if_it_is_expected_to_win(
    make: Make, gain: float, second: float, goal: str
) -> None:
    """The first candidate brings 0.5, the second one `second`; the agent says that each brings `gain`."""
    sign = 1 if goal == "max" else -1
    agent = Thinker([("ALPHA", 1 + sign * 0.5), ("ALPHA", 1 + sign * second)], sign * gain)

    def trial(text: str, seed: int) -> Result:
        if f"ALPHA = {1 + sign * 0.5}" in text:
            wait(lambda: session.pipeline.ready or len(agent.briefs) > 2, "a candidate that is ready")
        return scored(text, seed)

    session = make(agent, trial, metric={"metric": "number", "goal": goal, "kind": "noisy"})
    assert session.run() == "agent exhausted"
    _, _, old, *as_it_is = rows(session).values()
    assert old.reason == "superseded by experiment 1" + (", with which it conflicts" if gain < 0.5 else "")
    verdict = "keep" if second > 0.5 else "discard"
    wanted = [(0, 2, "branch", old.text, verdict)] if gain > 0.5 else []
    assert [(row.parent, row.origin, row.mode, row.text, row.verdict) for row in as_it_is] == wanted
    assert consistency.check(session.context.runs.parent) == []


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


def test_a_slot_that_waits_for_its_card_does_not_hold_up_the_others(make: Make, quick: Settings) -> None:
    others_done = threading.Event()

    def on(gpu: str) -> FunctionReferee:
        def measure(text: str, seed: int, _: TrialPlan) -> Result:
            if gpu == "GPU-2":
                others_done.set()
            return scored(text, seed)

        return FunctionReferee(measure, replace(quick, gpu=gpu))

    def used(uuid: str | None) -> tuple[int, int]:
        """Another program has the first card, once the base is measured, until the second one has run a trial."""
        is_in_use = uuid == "GPU-1" and session.context.experiment(0).state == "settled" and not others_done.is_set()
        return 16 * 10**9, 10**9 * is_in_use

    agent = Thinker([("ALPHA", 2.0), ("BETA", 2.0), ("GAMMA", 2.0)])
    session = make(agent, referees=[on("GPU-1"), on("GPU-2")])
    for gpu in ("GPU-1", "GPU-2"):
        session.maintenance.cards[gpu] = CardMemory(gpu, used, lambda seconds: time.sleep(0.05))
    assert session.run() == "agent exhausted"
    assert len(rows(session)) == 4


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


class LockedWorkspace(Workspace):
    """Keeps everything but experiment 1, whose reference another program has locked."""

    def keep(self, tag: str, n: int, sha: str, message: str, replaces: str | None = None) -> str:
        if n == 1:
            raise GitError("Unable to create '.git/refs/autoresearch/t/1.lock': File exists.")
        return super().keep(tag, n, sha, message, replaces)


def test_a_gain_beside_a_keep_that_git_refused_is_made_to_that_keep_later(make: Make, repository: Path) -> None:
    begun, trials = threading.Event(), {"ALPHA = 0.5": 0, "BETA = 0.5": 0}

    def trial(text: str, seed: int) -> Result:
        for edit in trials:
            trials[edit] += edit in text
        if "ALPHA = 0.5" in text and trials["ALPHA = 0.5"] == 2:
            assert begun.wait(SOON)
        elif "BETA = 0.5" in text and trials["BETA = 0.5"] == 2:
            begun.set()
            wait(lambda: session.control.ending == "error", "the end of the other slot")
        return scored(text, seed)

    agent = Thinker([("ALPHA", 0.5), ("BETA", 0.5)])
    session = make(agent, trial, slots=2, workspace=LockedWorkspace(repository))
    with pytest.raises(GitError):
        session.run()
    assert [row.state for row in session.context.ledger.unfinished_experiments(1)] == ["decided", "measuring"]
    second = make(Thinker([]), slots=2)
    assert second.run() == "agent exhausted"
    found = rows(second)
    assert [row.verdict for row in found.values()] == ["keep", "keep", "discard", "keep"]
    best = known(second.context.experiment(3).text)
    assert found[3].origin == 2 and "ALPHA = 0.5" in best and "BETA = 0.5" in best
    assert second.context.workspace.best("t") == found[3].sha


def test_a_keep_that_git_refused_is_made_to_one_that_was_kept_before_the_next_run(make: Make, repository: Path) -> None:
    session = make(Thinker([("ALPHA", 0.5)]), prepares_ahead=False, workspace=LockedWorkspace(repository))
    with pytest.raises(GitError):
        session.run()
    of_a_command = make(Thinker([("BETA", 0.5)]), prepares_ahead=False, first=2)
    assert of_a_command.run() == "agent exhausted"
    assert make(Thinker([]), prepares_ahead=False).run() == "agent exhausted"
    found = rows(session)
    assert [row.verdict for row in found.values()] == ["keep", "discard", "keep", "keep"]
    assert (found[3].origin, found[3].parent) == (1, 2)


def test_a_copy_of_the_ledger_from_before_a_keep_learns_it_from_git(
    make: Make, repository: Path, quick: Settings, bytes_data: Dataset
) -> None:
    session = make(Thinker([("ALPHA", 0.5)]), prepares_ahead=False, workspace=LockedWorkspace(repository))
    with pytest.raises(GitError):
        session.run()
    copy = back_up(session.context.ledger)
    assert make(Thinker([("BETA", 0.5)]), prepares_ahead=False).run() == "agent exhausted"
    wanted = rows(session)
    assert [row.verdict for row in wanted.values()] == ["keep"] * 3
    referees = [FunctionReferee(lambda text, seed, _: scored(text, seed), quick)]
    with Ledger.open(copy) as store:
        older = session_of(repository, store, Thinker([]), quick, bytes_data, base=TRAIN, referees=referees)
        assert older.run() == "agent exhausted"
        found = rows(older)
    assert [(row.verdict, row.sha) for row in found.values()] == [(row.verdict, row.sha) for row in wanted.values()]
    assert session.context.workspace.best("t") == wanted[2].sha


def stopped_beside(session: Callable[[], SessionLoop], first: str) -> Callable[[str, int], Result]:
    """Return trials in which the user stops the session: BETA's screening ends after the slot of `first` has."""
    begun, posted = threading.Event(), threading.Event()

    def trial(text: str, seed: int) -> Result:
        if first in text and not posted.is_set():
            assert begun.wait(SOON)
            posted.set()
            session().context.ledger.post(1, "stop", "")
        elif "BETA = 0.5" in text and not begun.is_set():
            begun.set()
            wait(lambda: session().control.ending == "stopped", "the end of the other slot")
        return scored(text, seed)

    return trial


def test_a_stop_ends_each_slot_after_its_running_experiment(make: Make) -> None:
    agent = Thinker([("ALPHA", 2.0), ("BETA", 0.5), ("GAMMA", 0.5)])
    session = make(agent, stopped_beside(lambda: session, "ALPHA = 2.0"), slots=2)
    assert session.run() == "stopped"
    verdicts = [row.verdict for row in session.context.ledger.experiments(1) if row.state == "settled"]
    assert verdicts == ["keep", "discard", "keep"]
    assert make(Thinker([])).run() == "agent exhausted"


def test_a_gain_that_is_superseded_after_a_stop_is_carried_over_by_the_next_run(make: Make) -> None:
    agent = Thinker([("ALPHA", 0.5), ("BETA", 0.5)])
    session = make(agent, stopped_beside(lambda: session, "ALPHA = 0.5"), slots=2)
    assert session.run() == "stopped"
    second = make(Thinker([]))
    assert second.run() == "agent exhausted"
    found = rows(second)
    assert [row.verdict for row in found.values()] == ["keep", "keep", "discard", "keep"]
    assert (found[3].origin, found[3].parent) == (2, 1)


def fail_audit(session: SessionLoop, n: int) -> None:
    """Add a trial of experiment `n` whose audit failed, as a command that measures it again does."""
    store, row = session.context.ledger, session.context.experiment(n)
    trial = store.start_trial(1, row.id, "total", 7, known(row.blob))
    store.end_trial(trial.id, "suspect", None, {"reason": "the audit disagrees"})


def test_a_gain_that_was_superseded_by_a_suspect_is_measured_on_what_it_was_made_for(make: Make) -> None:
    screened, failed = threading.Event(), threading.Event()

    def trial(text: str, seed: int) -> Result:
        alpha, beta = "ALPHA = 0.5" in text, "BETA = 0.5" in text
        if alpha and not beta:
            assert screened.wait(SOON)
        elif beta and not alpha and not screened.is_set():
            screened.set()
            wait(lambda: session.context.experiment(1).state == "settled", "the keep of the other slot")
        elif beta and alpha and not failed.is_set():
            failed.set()
            fail_audit(session, 1)
        return scored(text, seed)

    session = make(Thinker([("ALPHA", 0.5), ("BETA", 0.5)]), trial, slots=2)
    assert session.run() == "agent exhausted"
    found = rows(session)
    assert [row.verdict for row in found.values()] == ["keep", "suspect", "discard", "discard", "keep"]
    assert [row.origin for row in found.values()] == [None, None, None, 2, 3] and found[4].parent == 0
    assert session.context.experiment(4).text == session.context.experiment(2).text


@pytest.mark.parametrize("is_stopped", [False, True])
def test_what_lost_to_a_score_that_was_withdrawn_meanwhile_is_made_to_the_incumbent(
    make: Make, is_stopped: bool
) -> None:
    def trial(text: str, seed: int) -> Result:
        result = scored(text, seed)
        if "ALPHA = 0.5" in text and "BETA = 0.9" not in text:
            result.val_bpb = 1.0 + seed % 97 / 1e5
        elif "ALPHA = 0.5" in text:
            fail_audit(session, 1)
            if is_stopped:
                behind = {"progress": 0.5, "delta": 1.0, "odds": 0.01}
                return Result("stopped", reason="clearly behind", seed=seed, behind=behind)
        return result

    session = make(Thinker([("ALPHA", 0.5), ("BETA", 0.9)]), trial, prepares_ahead=False)
    assert session.run() == "agent exhausted"
    found = rows(session)
    assert [row.verdict for row in found.values()] == ["keep", "suspect", "discard", "keep"]
    assert (found[2].reason or "").startswith("superseded by experiment 0")
    assert (found[3].origin, found[3].parent) == (2, 0)


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


def test_lines_that_meet_are_found_and_forged_marks_are_text() -> None:
    names = ("mine", "yours")
    onto, changed = TRAIN.replace("ALPHA = 1.0", "ALPHA = 2.0"), TRAIN.replace("ALPHA = 1.0", "ALPHA = 3.0")
    meets = "<<<<<<< mine\nALPHA = 2.0\n=======\nALPHA = 3.0\n>>>>>>> yours"
    assert find_conflicts(merge_texts, TRAIN, changed, onto, names) == meets
    assert find_conflicts(merge_texts, TRAIN, TRAIN, onto, names) == ""
    forged = TRAIN.replace("GAMMA = 1.0\n", f"{'>' * 7} yours\nGAMMA = 1.0\n")
    assert find_conflicts(merge_texts, forged, forged, forged.replace("BETA = 1.0", "BETA = 2.0"), names) == ""


# --- several proposals from one conversation


class Prolific(Thinker):
    """Gives as many edits as the brief wants in one conversation, and says what it cost.

    Before each edit but the first it waits until `goes_on` is set.
    """

    def __init__(self, edits: list[tuple[str, float]]) -> None:
        super().__init__(edits)
        self.goes_on = threading.Event()
        self.goes_on.set()

    def propose(self, brief: Brief) -> Proposal:
        made: list[Proposal] = []
        self.converse(replace(brief, proposals=1), made.append)
        return made[0]

    def converse(self, brief: Brief, deliver: Deliver) -> Conversed:
        self.briefs.append(brief)
        if not self.edits:
            raise Exhausted("agent exhausted")
        edits, self.edits = self.edits[: brief.proposals], self.edits[brief.proposals :]
        for k, (name, value) in enumerate(edits):
            assert not k or self.goes_on.wait(SOON)
            text = re.sub(rf"^{name} = .*", f"{name} = {value}", brief.source, flags=re.M)
            deliver(Proposal(text, f"{name} is {value}", trace=[{"kind": "rationale"}]))
        return Conversed([{"kind": "reply", "text": "done"}], 0.3)


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


@pytest.mark.slow
def test_a_proposal_is_measured_while_the_conversation_that_made_it_goes_on(make: Make) -> None:
    agent = Prolific([("ALPHA", 0.5), ("BETA", 2.0), ("GAMMA", 2.0)])
    agent.goes_on.clear()

    def trial(text: str, seed: int) -> Result:
        if "ALPHA = 0.5" in text:
            agent.goes_on.set()
        return slowly(text, seed)

    session = make(agent, trial, proposals=3)
    assert session.run() == "agent exhausted"
    found = rows(session)
    assert found[1].verdict == "keep" and agent.briefs[0].proposals == 3
    costs = [row.cost_usd for row in found.values() if "conversation" in row.params]
    assert costs == pytest.approx([0.1] * 3)
    events = session.context.ledger.events(1)
    assert [event.n for event in events if event.kind == "conversed"] == [1]
    kinds = [[each["kind"] for each in read_trace(session.context.artefacts(n).trace)] for n in (1, 2)]
    assert kinds == [["brief", "reply", "rationale"], ["conversation", "rationale"]]


def test_an_error_while_a_proposal_is_recorded_is_that_of_the_session(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "no room")

    session = make(Prolific([("ALPHA", 2.0), ("BETA", 2.0)]), slowly, proposals=3)
    monkeypatch.setattr(session.context.ledger, "renumber", fail)
    with pytest.raises(OSError, match="no room"):
        session.run()


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
