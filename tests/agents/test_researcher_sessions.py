"""Sessions with the simulated researcher: real trials, real SDK, real sockets, failing calls."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.agent_sessions import CallLog, agent_session, asked, claude
from support.chat_server import ChatServer
from support.messages_server import Block, MessagesServer, Reply, Request, Step, text, tool
from support.researcher import EDITOR, Faulty, Researcher

from autoresearch.agents import base
from autoresearch.agents.base import InstantAgent
from autoresearch.analysis import consistency
from autoresearch.brief.brief import Brief
from autoresearch.brief.lessons import Lessons
from autoresearch.config import Price
from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import since_boot
from autoresearch.measure.settings import Settings


@pytest.mark.slow
@pytest.mark.parametrize(
    ("serve", "spec", "model"),
    [(MessagesServer, "claude", "claude-opus-5-5"), (ChatServer, "openai:mine", "mine")],
)
def test_a_night_with_a_model(
    repository: Path, quick: Settings, bytes_data: Dataset, serve: type[MessagesServer], spec: str, model: str
) -> None:
    call_log = CallLog(repository)
    (repository / "ideas.md").write_text("- try it backwards\n")
    with serve(Faulty(Researcher(done_every=3), 0.3)) as server:
        prices = {"mine": Price(input=1, output=4)}
        agent = asked(spec, server.url, call_log, max_usd=5, prices=prices)
        with agent_session(repository, quick, bytes_data, agent, max_experiments=3) as session:
            assert session.run() == "max experiments"
            rows = session.context.ledger.experiments(1)
            broken = [event for event in session.context.ledger.events(1) if event.kind == "broken"]
            lessons = Lessons.locate(repository / "runs", {}, {})
    assert consistency.check(repository) == []
    assert len(rows) == 4 and {row.state for row in rows} == {"settled"}
    assert len({row.fingerprint for row in rows}) == 4  # nothing was trained twice
    assert all(row.model == model and row.category == "optimiser" and row.mode for row in rows[1:])
    assert broken and "I am done" in broken[0].text
    ended = [call for call in call_log.calls.values() if call.seconds is not None]
    assert any(call.error for call in ended) and len(ended) == len(call_log.calls)
    traces = [(repository / "runs" / "t" / str(n) / "trace.jsonl").read_text() for n in (1, 2, 3)]
    assert all('"kind": "tool"' in trace and '"kind": "rationale"' in trace for trace in traces)
    assert any('"kind": "sent back"' in trace and "I am done" in trace for trace in traces)
    assert "idea 1: try it backwards" in traces[0]
    assert len(lessons.read(without="other")) == 3 and "(optimiser): " in lessons.read(without="other")[0].line


@pytest.mark.slow
def test_a_server_that_is_away_or_an_agent_that_is_broken_never_ends_the_night(
    repository: Path, quick: Settings, bytes_data: Dataset
) -> None:
    away = Away(["unavailable", *["broken"] * 7, "unusable", "spent"])
    with agent_session(repository, quick, bytes_data, away) as session:
        reasons = []
        for _ in range(5):  # the clock of its absences is wound on by hand
            session.control.limits.max_experiments = max(1, len(session.context.ledger.experiments(1)))
            reasons.append(session.run())
            [arm] = session.candidates.proposer.arms.arms
            arm.health = replace(arm.health, until=0.0)
        rows = session.context.ledger.experiments(1)
        kinds = [event.kind for event in session.context.ledger.events(1)]
    assert set(reasons) == {"max experiments"}
    assert [row.agent for row in rows[1:]] == ["sweep"] * 5
    assert kinds.count("absent") == 5 and kinds.count("broken") >= 6
    assert not away.faults


class NothingLeft(InstantAgent):
    """A stand-in that has nothing to propose."""

    name = "nothing"

    def propose(self, brief: Brief) -> base.Proposal:
        raise base.Exhausted("agent exhausted")


class Outage:
    """An agent whose server is away for two seconds, then proposes."""

    name, model, repairs = "outage", "none", 0

    def __init__(self, proposes: str = "instantly") -> None:
        self.proposes, self.back_at, self.asked = proposes, 0.0, 0

    def check(self) -> None:
        pass

    def propose(self, brief: Brief) -> base.Proposal:
        self.asked += 1
        self.back_at = self.back_at or time.time() + 2
        if time.time() < self.back_at:
            raise base.Unavailable("overloaded", retry_at=self.back_at)
        return base.Proposal(brief.source + f"# {brief.n}\nUNUSED_{brief.n} = 1\n", "an idea")


@pytest.mark.slow
@pytest.mark.parametrize("proposes", ["instantly", "remotely"])
def test_an_outage_is_waited_for_where_the_stand_in_has_nothing_to_propose(
    proposes: str, repository: Path, quick: Settings, bytes_data: Dataset
) -> None:
    agent = Outage(proposes)
    options = {"stand_in": NothingLeft(), "prepares_ahead": proposes == "remotely", "max_experiments": 2}
    with agent_session(repository, quick, bytes_data, agent, **options) as session:
        assert session.run() == "max experiments"
        waits = [event.text for event in session.context.ledger.events(1) if event.kind == "absent"]
        rows = session.context.ledger.experiments(1)
    assert [row.agent for row in rows[1:3]] == ["outage", "outage"]
    assert len(waits) == 2 and "the session waits until" in waits[1] and agent.asked < 6


@pytest.mark.slow
def test_a_deadline_during_an_outage_ends_the_session(repository: Path, quick: Settings, bytes_data: Dataset) -> None:
    agent = Outage()
    agent.back_at = time.time() + 3600
    options = {"stand_in": NothingLeft(), "until": since_boot() + 15}
    with agent_session(repository, quick, bytes_data, agent, **options) as session:
        assert session.run() == "deadline"
        assert len(session.context.ledger.experiments(1)) == 1


class Away:
    """An agent that fails in each way of its list, one after the other."""

    name, model, repairs = "away", "none", 2

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults

    def check(self) -> None:
        pass

    def propose(self, brief: Brief) -> base.Proposal:
        kind = self.faults.pop(0)
        if kind == "broken":
            raise base.BadProposal("an edit that does not apply")
        if kind == "unavailable":
            raise base.Unavailable("overloaded", retry_at=time.time() + 600)
        raise base.Unusable("no credit") if kind == "unusable" else base.Spent("the money is spent")


# --- lines of inquiry

TWO_STEPS = """
GATE = 0  # opens the way; costs a little by itself
GAIN = 0  # of use only behind the gate
SPARE = 0  # of no use
"""


@pytest.mark.slow
def test_a_gain_in_two_steps_is_found_from_a_version_that_was_discarded(
    repository: Path, quick: Settings, bytes_data: Dataset, bigram: str
) -> None:
    call_log = CallLog(repository)
    planted = bigram.replace("SMOOTHING = 0.5  # added to every count\n", TWO_STEPS).replace(
        "logits = SHARPNESS * np.log(counts + SMOOTHING)",
        "smoothing = 0.5 - 0.45 * GATE * GAIN + 0.012 * GATE + 0.06 * np.random.default_rng(trial.seed).random()\n"
        "    logits = SHARPNESS * np.log(counts + smoothing)",
    )
    assert planted.count("GATE") == 3
    with MessagesServer(TwoSteps()) as server:
        agent = claude(server.url, call_log)
        options = {"base": planted, "replicates": 5, "max_experiments": 6}
        with agent_session(repository, quick, bytes_data, agent, **options) as session:
            session.run()
            rows = session.context.ledger.experiments(1)
    assert consistency.check(repository) == []
    kept = next(row for row in rows if row.verdict == "keep" and row.n > 0)
    first = next(row for row in rows if row.n == kept.line)
    assert first.verdict == "discard" and (first.delta or 0) > 0 and first.change == "GATE 0 -> 1"
    assert kept.mode == "climb" and kept.parent == first.n and kept.params["opening"] == "own"
    assert kept.change == "GATE 0 -> 1, GAIN 0 -> 1", "it is measured and shown against one version"


class TwoSteps:
    """A researcher that opens the gate, and then takes the second step from there."""

    def __init__(self) -> None:
        self.moved = 0

    def __call__(self, request: Request) -> Step:
        if not request.body.get("tools"):
            return Reply([text("ready")])
        told = "".join(block["text"] for block in request.body["messages"][0]["content"])
        if "| GATE 0 -> 1" not in told:
            return Reply(_change("GATE = 0", "GATE = 1"))
        self.moved += 1
        if self.moved == 1:
            return Reply([tool("start_from", n=1), *_change("GAIN = 0", "GAIN = 1")])
        return Reply(_change("SPARE = 0", f"SPARE = {self.moved}"))


def _change(old: str, new: str) -> list[Block]:
    said: dict[str, Any] = {
        "category": "architecture",
        "predicted_delta": -0.01,
        "confidence": 0.5,
        "source": "own knowledge",
        "opening": "own",
    }
    edit = tool(EDITOR, command="str_replace", path="train.py", old_str=old, new_str=new)
    return [edit, tool("propose", hypothesis=f"{old} becomes {new}", **said)]


# --- long sessions


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_sixty_experiments_while_a_third_of_the_calls_fails(
    repository: Path, quick: Settings, bytes_data: Dataset
) -> None:
    call_log = CallLog(repository)
    with MessagesServer(Faulty(Researcher(), 0.3)) as server:
        agent = claude(server.url, call_log, max_usd=30)
        with agent_session(
            repository, quick, bytes_data, agent, until=since_boot() + 3600, max_experiments=60
        ) as session:
            started = time.time()
            assert session.run() == "max experiments"
            lasted = time.time() - started
            rows = session.context.ledger.experiments(1)
            thought = sum(
                event.data["seconds"]
                for event in session.context.ledger.events(1)
                if event.kind in ("proposed", "broken")
            )
    measured = [row.fingerprint for row in rows if row.verdict in ("keep", "discard", "crash")]
    assert len(rows) == 61 and len(set(measured)) == len(measured)
    print(f"{thought:.1f} s of thinking in {lasted:.0f} s, ${call_log.spent:.2f}")
    assert consistency.check(repository) == []
    assert call_log.spent <= 30 and all(call.cost_usd is not None for call in call_log.calls.values())
    # these trials take seconds, not minutes: what the agent took is under 1 % of sixty trials of five minutes
    assert thought < 0.01 * 60 * 300, (thought, lasted)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_researcher_that_says_it_is_done_reaches_118_experiments(
    repository: Path, quick: Settings, bytes_data: Dataset
) -> None:
    call_log = CallLog(repository)
    researcher = Researcher(done_every=5)
    with MessagesServer(researcher) as server:
        agent = claude(server.url, call_log)
        with agent_session(repository, quick, bytes_data, agent, max_experiments=118) as session:
            assert session.run() == "max experiments"
            rows = session.context.ledger.experiments(1)
            said = [event.text for event in session.context.ledger.events(1) if event.kind == "broken"]
    assert len(rows) == 119 and len(said) >= 15 and all("I am done" in words for words in said)
    third = next(row for row in rows if row.n == 3)
    brief = (repository / "runs" / "t" / "50" / "trace.jsonl").read_text()
    assert third.change and third.change in brief  # what experiment 3 taught is told before experiment 50
