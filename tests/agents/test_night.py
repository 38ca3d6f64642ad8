"""A short night with the simulated researcher: real session, real trials, real SDK, real sockets, failing calls."""

import os
import time
from dataclasses import replace
from pathlib import Path

from messages_server import MessagesServer
from researcher import Faulty, Researcher

from autoresearch import agents
from autoresearch.agents.library import LedgerLibrary
from autoresearch.agents.services import CallRecord, Services
from autoresearch.brief import Brief
from autoresearch.config import Config
from autoresearch.ledger import Ledger
from autoresearch.limits import Limits
from autoresearch.measure.data import Dataset
from autoresearch.measure.settings import Settings
from autoresearch.session import Session
from autoresearch.workspace import Workspace


def test_a_night_with_claude(repository: Path, quick: Settings, bytes_data: Dataset) -> None:
    path = repository / "runs" / "ledger.db"
    calls: list[CallRecord] = []
    with MessagesServer(Faulty(Researcher(done_every=3), 0.3)) as server, Ledger.open(path) as store:
        workspace = Workspace(repository)
        row = store.create_session("t", "autoresearch/t", workspace.head(), "claude", "default", {}, {}, seed=5)
        store.update_session(row.id, state="running", pid=os.getpid(), grade="STRONG")
        services = Services(
            LedgerLibrary(path, row.id), on_call=calls.append, patience=1e9, sleep=lambda seconds: None
        )
        session = Session(
            row=row,
            ledger=store,
            workspace=workspace,
            agent=agents.create("claude", Config(base_url=server.url, max_usd=5), services),
            settings=quick,
            data=bytes_data,
            runs=repository / "runs",
            program=repository / "program.md",
            base=workspace.read(row.base_sha),
            identity={},
            replicates=2,
            limits=Limits(max_experiments=3),
        )
        assert session.run() == "max experiments"
        rows = store.experiments(row.id)
        broken = [event for event in store.events(row.id) if event.kind == "broken"]
    assert len(rows) == 4 and {row.state for row in rows} == {"settled"}
    assert len({row.fingerprint for row in rows}) == 4  # nothing was trained twice
    assert all(row.model == "claude-opus-5-5" and row.category == "optimiser" for row in rows[1:])
    assert broken and "I am done" in broken[0].text
    ended = [call for call in calls if call.seconds is not None]
    assert any(call.error for call in ended) and len(ended) == len(calls) / 2
    trace = (repository / "runs" / "t" / "3" / "trace.jsonl").read_text()
    assert '"kind": "tool"' in trace and '"kind": "rationale"' in trace


def test_a_server_that_is_away_or_an_agent_that_is_broken_never_ends_the_night(repository: Path, quick: Settings, bytes_data: Dataset) -> None:
    away = Away(["unavailable", *["broken"] * 7, "unusable", "spent"])
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        workspace = Workspace(repository)
        row = store.create_session("t", "autoresearch/t", workspace.head(), "claude", "default", {}, {}, seed=5)
        store.update_session(row.id, state="running", pid=os.getpid(), grade="STRONG")
        session = Session(
            row=row,
            ledger=store,
            workspace=workspace,
            agent=away,
            stand_in=agents.create("sweep"),
            settings=quick,
            data=bytes_data,
            runs=repository / "runs",
            program=repository / "program.md",
            base=workspace.read(row.base_sha),
            identity={},
            replicates=2,
            limits=Limits(),
        )
        reasons = []
        for _ in range(5):  # the clock of its absences is wound on by hand
            session.limits.max_experiments = len(store.experiments(row.id)) or 1
            reasons.append(session.run())
            session.desk.standing = replace(session.desk.standing, until=0.0)
        rows = store.experiments(row.id)
        kinds = [event.kind for event in store.events(row.id)]
    assert set(reasons) == {"max experiments"}
    assert [row.agent for row in rows[1:]] == ["sweep"] * 5
    assert kinds.count("absent") == 3 and kinds.count("broken") >= 6
    assert not away.faults


class Away:
    """An agent that fails in the ways of its list, one after the other."""

    name, model, repairs = "away", "none", 2

    def __init__(self, faults: list[str]) -> None:
        self.faults = faults

    def check(self) -> None:
        pass

    def propose(self, brief: Brief) -> agents.Proposal:
        kind = self.faults.pop(0)
        if kind == "broken":
            raise agents.BadProposal("an edit that does not apply")
        if kind == "unavailable":
            raise agents.Unavailable("overloaded", retry_at=time.time() + 600)
        raise agents.Unusable("no credit") if kind == "unusable" else agents.Spent("the money is spent")
