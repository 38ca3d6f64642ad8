"""A short night with the simulated researcher: real session, real trials, real SDK, real sockets, failing calls."""

import os
from pathlib import Path

from messages_server import MessagesServer
from researcher import Faulty, Researcher

from autoresearch import agents
from autoresearch.agents.library import LedgerLibrary
from autoresearch.agents.services import CallRecord, Services
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
