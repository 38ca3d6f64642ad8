"""A session as tests run it: real git and a real ledger, in a repository of the test's own."""

import os
from pathlib import Path
from typing import Any

from autoresearch.agents.base import Agent
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.measure.settings import Settings
from autoresearch.session.loop import SessionLoop
from autoresearch.workspace.workspace import Workspace


def session_of(
    root: Path, store: Ledger, agent: Agent, settings: Settings, data: Dataset, **options: Any
) -> SessionLoop:
    """The session `t` of a repository, new or gone on with; `options` are fields of SessionLoop."""
    workspace = Workspace(root)
    row = store.session("t") or store.create_session(
        "t", "autoresearch/t", workspace.head(), agent.name, "default", {}, {}, seed=5
    )
    slots = 1 + len(options.get("others", ()))
    return SessionLoop(
        row=store.update_session(row.id, state="running", pid=os.getpid(), grade="STRONG", slots=slots),
        ledger=store,
        workspace=workspace,
        agent=agent,
        settings=settings,
        data=data,
        runs=root / "runs",
        program=root / "program.md",
        **{"base": workspace.read(row.base_sha), "identity": {}, "replicates": 2} | options,
    )
