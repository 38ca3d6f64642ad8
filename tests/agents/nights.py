"""Whole nights of an agent on numpy trials: a real session, real cells, real git, a real ledger."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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


@contextmanager
def night(root: Path, settings: Settings, data: Dataset, agent: agents.Agent, **limits: Any) -> Iterator[Session]:
    """A session that can be run, with `sweep` as the stand-in."""
    with Ledger.open(root / "runs" / "ledger.db") as store:
        workspace = Workspace(root)
        row = store.create_session("t", "autoresearch/t", workspace.head(), agent.name, "default", {}, {}, seed=5)
        row = store.update_session(row.id, state="running", pid=os.getpid(), grade="STRONG")
        yield Session(
            row=row,
            ledger=store,
            workspace=workspace,
            agent=agent,
            stand_in=agents.create("sweep"),
            settings=settings,
            data=data,
            runs=root / "runs",
            program=root / "program.md",
            base=workspace.read(row.base_sha),
            identity={},
            replicates=2,
            limits=Limits(**limits),
        )


class Purse:
    """Writes every call into the ledger of a session, as a night does."""

    def __init__(self, root: Path) -> None:
        self.path = root / "runs" / "ledger.db"
        self.calls: dict[str, CallRecord] = {}

    def services(self) -> Services:
        """For an agent that never waits: its server is on this machine."""
        library = LedgerLibrary(self.path, 1)
        return Services(library, on_call=self.hear, patience=1e9, sleep=lambda seconds: None)

    def hear(self, call: CallRecord) -> None:
        """Keep the last word on each call."""
        self.calls[call.key] = call

    @property
    def spent(self) -> float:
        """Dollars of all calls."""
        return sum(call.cost_usd or 0.0 for call in self.calls.values())


def claude(url: str, purse: Purse, **settings: Any) -> agents.Agent:
    """The agent, on a server of the test's own."""
    return agents.create("claude", Config(base_url=url, **settings), purse.services())
