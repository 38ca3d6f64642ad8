"""What commands need that measure versions of a session which is over: its slot, its settings, a place for them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from autoresearch.cli.app import opened

if TYPE_CHECKING:
    from autoresearch.analysis.remeasure import Remeasurer
    from autoresearch.ledger import Session
    from autoresearch.setup.project import Project
    from autoresearch.terminal.live_view import Live


def place_of(session: "Session") -> "Project":
    """Open the project as it was set up for the session. Raises UserError if scores could not be compared."""
    from autoresearch.session.opening import check_comparable
    from autoresearch.setup import project

    settings = session.settings
    place = project.open_project({"budget": settings["budget"], "device": settings["device"], "judge": session.judge})
    check_comparable(session, place)
    return place


@contextmanager
def held(place: "Project") -> Iterator["Live"]:
    """The slot for ourselves, and the lines that show what happens on it."""
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.setup import slots
    from autoresearch.terminal.live_view import Live

    protect_self()
    with slots.lock([place.slot]), Live(place) as live:
        yield live


@contextmanager
def again(tag: str | None) -> Iterator["Remeasurer"]:
    """Everything to measure versions of a session again with."""
    from autoresearch.analysis.remeasure import Remeasurer
    from autoresearch.hardware import CardMemory
    from autoresearch.measure.referee import CellReferee
    from autoresearch.workspace.workspace import Workspace

    with opened(tag, readonly=False) as (store, session):
        place = place_of(session)
        with held(place) as live:
            workspace = Workspace(place.root, place.config.train)
            card, data = CardMemory(place.slot.gpu), place.data
            referee = CellReferee(place.settings, data)
            yield Remeasurer(store, session, workspace, referee, data, card, lambda n, at: live.watch(n, "again")(at))
