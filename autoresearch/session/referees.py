"""The referees of a session, one for each slot."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial

from autoresearch.data.dataset import Dataset
from autoresearch.fleet.fleet_project import FleetProject
from autoresearch.ledger.node_trials import NODES
from autoresearch.measure.cell_process import FreshCells
from autoresearch.measure.command_referee import CommandReferee
from autoresearch.measure.referee import CellReferee, Referee
from autoresearch.measure.settings import Settings
from autoresearch.measure.warm_cells import choose_cells
from autoresearch.session.context import SessionContext
from autoresearch.session.pipeline import spare_cores
from autoresearch.session.screening import ScreenPool
from autoresearch.session.tool_access import is_private
from autoresearch.setup.project import Project, settings
from autoresearch.source.parsing import uses_torch
from autoresearch.tools.scoring_gate import ScoringGate


def referees_of(context: SessionContext, project: Project, count: int, base: str, gate: ScoringGate) -> list[Referee]:
    """Create referees for the first slots of a project: of nodes, of its command or of the built-in trial."""
    export = partial(context.workspace.export, context.row.base_sha)
    if isinstance(project, FleetProject):
        say = partial(context.emit, NODES, None)
        return project.referees(_shared_settings(project), count, context.row.base_sha, export, say)
    if project.command is None:
        return _built_in_referees(context, project, count, base, gate)
    slots = [settings(project.config, slot) for slot in project.slots[:count]]
    return [CommandReferee(each, project.command, export) for each in slots]


def find_screen_pool(project: Project) -> ScreenPool | None:
    """Return the pool in which a project's candidates are screened; None where they are kept."""
    if not isinstance(project, FleetProject) or (screen := project.fleet.screen) is None:
        return None
    identity = screen.identity | {"data": project.basis.hash}
    slots = len(screen.slots), len(project.fleet.slots) - len(screen.slots)
    return ScreenPool(identity, screen.kind, project.fleet.kind, *slots)


def _shared_settings(project: Project) -> Settings:
    """Return the settings of trials on any node."""
    private = project.command is None and is_private(project.data, project.config.share_text)
    return replace(project.settings, private=private)


def _built_in_referees(
    context: SessionContext, project: Project, count: int, base: str, gate: ScoringGate
) -> list[Referee]:
    private = is_private(project.data, project.config.share_text)
    chosen = [project.settings, *(settings(project.config, slot) for slot in project.slots[1:])]
    slots = [replace(each, private=private) for each in chosen]
    spare = spare_cores([slot.cores for slot in project.slots])
    return make_referees(context, slots[:count], project.data, base, spare, gate.scoring)


def make_referees(
    context: SessionContext,
    slots: Sequence[Settings],
    data: Dataset,
    base: str,
    spare: Sequence[int],
    while_scoring: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> list[Referee]:
    """Create a referee for each slot, with warm cells if they help and disturb no trial."""
    spare = spare if len(slots) == 1 else ()  # importing would disturb a trial on another CPU slot
    caches, warm = context.folder / "caches", uses_torch(base)
    cells = [choose_cells(slot, spare) if warm else FreshCells() for slot in slots]
    pairs = zip(slots, cells, strict=True)
    return [CellReferee(replace(slot, caches=caches), data, own, while_scoring) for slot, own in pairs]
