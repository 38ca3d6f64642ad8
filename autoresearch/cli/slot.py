"""The project, the slot and the re-measurer of commands that measure old versions."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import open_ledger
from autoresearch.errors import UserError

if TYPE_CHECKING:
    from autoresearch.analysis.remeasure import Remeasurer
    from autoresearch.ledger import Session
    from autoresearch.measure.referee import Referee
    from autoresearch.measure.result import Progress
    from autoresearch.setup.project import Project
    from autoresearch.terminal.live_view import Live
    from autoresearch.workspace.workspace import Workspace


def project_of(session: "Session", slots: str | None = None) -> "Project":
    """Open the project of a session. Raises UserError if another evaluator measured it."""
    from autoresearch.session.opening import check_evaluator
    from autoresearch.setup.project import open_project

    check_evaluator(session)  # before a data set is prepared for nothing
    settings = session.settings
    budget = settings["budget"] if "metric" not in settings else None  # that of a command is its own
    flags = {"budget": budget, "device": settings["device"], "judge": session.judge, "slots": slots}
    return open_project(flags, pinned=settings.get("data"))


@contextmanager
def lock_slot(project: "Project", wait: bool) -> Iterator["Live"]:
    """Lock the project's first slot, and show what happens on it."""
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.setup.slots import lock
    from autoresearch.terminal.live_view import Live

    protect_self()
    with lock([project.slot], say_line if wait else None), Live(project) as live:
        yield live


def say_line(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def open_remeasurer(tag: str | None, slots: str | None, wait: bool) -> Iterator["Remeasurer"]:
    """Open a session's ledger and prepare to measure its versions again; the first trial locks the slot.

    With `wait` the slot is locked at once: what runs there may be this session, and may keep a version.
    """
    from autoresearch.analysis.remeasure import Remeasurer
    from autoresearch.errors import require
    from autoresearch.hardware import CardMemory
    from autoresearch.ledger import is_alive
    from autoresearch.session.context import SessionContext
    from autoresearch.session.demotion import demote_suspects
    from autoresearch.session.events import SessionEvent, TrialProgress
    from autoresearch.session.opening import check_comparable
    from autoresearch.workspace.workspace import Workspace

    with open_ledger(tag, readonly=False) as (ledger, session), ExitStack() as locks:
        project = project_of(session, slots)
        lives: list[Live] = []

        def reserve() -> None:
            if not lives:
                lives.append(locks.enter_context(lock_slot(project, wait)))

        def handle(event: SessionEvent) -> None:
            for live in lives:
                live.handle(event)

        def watch(n: int, progress: "Progress") -> None:
            handle(TrialProgress(n, "again", progress))

        if wait:
            reserve()
            session = require(ledger.session(session.tag))
        check_comparable(session, project)
        workspace = Workspace.of(project.root, project.config)
        card, referee = CardMemory(project.slot.gpu), _referee_of(project, session, workspace)
        context = SessionContext(session.id, session.tag, ledger, workspace, project.runs, [handle])
        try:
            yield Remeasurer(ledger, session, workspace, referee, project.basis, card, watch, reserve)
        finally:
            referee.close()
            if lives and not is_alive(context.row):  # a session that runs meanwhile does it after its next trial
                demote_suspects(context)


def _referee_of(project: "Project", session: "Session", workspace: "Workspace") -> "Referee":
    """Return the referee of new trials of a session. Raises UserError where a command has no holdout."""
    from autoresearch.measure.command_referee import CommandReferee
    from autoresearch.measure.referee import CellReferee

    if (command := project.command) is None:
        return CellReferee(project.settings, project.data)
    if command.holdout is None:
        raise UserError("this needs a `holdout` beside `score` in autoresearch.yaml")
    return CommandReferee(project.settings, command, partial(workspace.export, session.base_sha))
