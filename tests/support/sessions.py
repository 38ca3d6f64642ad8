"""A session as tests run it: real git and a real ledger, in a repository of the test's own."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from autoresearch.agents.base import Agent
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger, Session
from autoresearch.measure.settings import Settings
from autoresearch.session.context import SessionContext
from autoresearch.session.loop import SessionLoop
from autoresearch.session.referees import make_referees
from autoresearch.session.run import LoopInputs, assemble
from autoresearch.workspace.workspace import Workspace


def session_of(
    root: Path,
    store: Ledger,
    agent: Agent,
    settings: Settings,
    data: Dataset,
    slots: Sequence[Settings] = (),
    **options: Any,
) -> SessionLoop:
    """Assemble the session `t` of a repository, new or continued.

    `options` are fields of LoopInputs, `listeners`, or a `workspace`.
    """
    workspace, slots = options.pop("workspace", None) or Workspace(root), slots or (settings,)
    row = store.session("t") or store.create_session(
        "t", "autoresearch/t", workspace.head(), agent.name, "default", {}, {}, seed=5
    )
    context = SessionContext(row.id, row.tag, store, workspace, root / "runs", options.pop("listeners", ()))
    base = options.setdefault("base", workspace.read(row.base_sha))
    referees = options.setdefault("referees", make_referees(context, slots, data, base, options.get("spare", ())))
    store.update_session(row.id, state="running", pid=os.getpid(), grade="STRONG", slots=len(referees))
    inputs = {"agent": agent, "program": root / "program.md", "identity": {}, "replicates": 2} | options
    return assemble(context, LoopInputs(**inputs))


def context_of(store: Ledger, session: Session, workspace: Workspace | None = None, **options: Any) -> SessionContext:
    """Return a context, without a repository if none is needed; `options` are fields of SessionContext."""
    runs = store.path.parent
    return SessionContext(session.id, session.tag, store, cast(Workspace, workspace), runs, **options)
