"""Whole sessions of an agent on numpy trials: real cells, real git, a real ledger."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.sessions import session_of

from autoresearch.agents import base, registry
from autoresearch.agents.lookup import LedgerLibrary
from autoresearch.agents.services import CallRecord, Services
from autoresearch.config import Config
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.measure.settings import Settings
from autoresearch.session.loop import SessionLoop
from autoresearch.session.stopping import Limits


@contextmanager
def agent_session(
    root: Path,
    settings: Settings,
    data: Dataset,
    agent: base.Agent,
    until: float | None = None,
    max_experiments: int | None = None,
    **options: Any,
) -> Iterator[SessionLoop]:
    """Open a session that can be run, by default with `sweep` as the stand-in; `options` are fields of LoopInputs."""
    options = {"stand_in": registry.create("sweep"), "limits": Limits(until, max_experiments)} | options
    with Ledger.open(root / "runs" / "ledger.db") as ledger:
        yield session_of(root, ledger, agent, settings, data, **options)


class CallLog:
    """Record of all calls of an agent; `services` are for that agent."""

    def __init__(self, root: Path) -> None:
        self.path = root / "runs" / "ledger.db"
        self.calls: dict[str, CallRecord] = {}

    def services(self) -> Services:
        """Return services for an agent that never waits: its server is on this machine."""
        library = LedgerLibrary(self.path, 1)
        return Services(library, on_call=self.record, max_wait_s=1e9, sleep=lambda seconds: None)

    def record(self, call: CallRecord) -> None:
        """Keep the last report on each call."""
        self.calls[call.key] = call

    @property
    def spent(self) -> float:
        """Return the dollars of all calls."""
        return sum(call.cost_usd or 0.0 for call in self.calls.values())


def claude(url: str, calls: CallLog, **settings: Any) -> base.Agent:
    """Create the agent for a server of the test."""
    return asked("claude", url, calls, **settings)


def asked(spec: str, url: str, calls: CallLog, **settings: Any) -> base.Agent:
    """Create an agent that asks a model, for a server of the test."""
    return registry.create(spec, Config(base_url=url, **settings), calls.services())
