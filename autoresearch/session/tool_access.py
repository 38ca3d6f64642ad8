"""The tools of a session's agent: where they run, and which versions they know."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autoresearch.agents.base import Proposal
from autoresearch.data.dataset import Dataset
from autoresearch.errors import require
from autoresearch.ledger import Ledger
from autoresearch.ledger.categories import EQUAL_SCORE
from autoresearch.ledger.overhead import base_overhead
from autoresearch.measure.result import Overhead
from autoresearch.measure.settings import Settings
from autoresearch.session.context import SessionContext
from autoresearch.setup.project import Project
from autoresearch.setup.slots import Slot
from autoresearch.tools import scale
from autoresearch.tools.model_tools import ModelTools
from autoresearch.tools.scoring_gate import ScoringGate
from autoresearch.tools.workbench import Workbench

CARD_CORES = 4  # of a machine with cards: the most that a tool uses, and as many as are left for trials


def make_tools(context: SessionContext, project: Project, spare: Sequence[int], gate: ScoringGate) -> ModelTools:
    """Create the tools, on the cores that no slot uses; without such cores they are not available."""
    settings, data = project.settings, project.data
    cores = _apart(spare, project.slots) if settings.device == "cpu" else _cores_beside(project.slots)
    bench = None
    if cores:
        own = _cpu_settings(settings, cores)
        is_scaled = settings.device != "cpu"
        rows = scale.with_short_rows(data) if is_scaled else data
        bench = Workbench(own, rows, gate, is_scaled, is_private(data, project.config.share_text))
    seed = context.row.seed % 2**31
    return ModelTools(bench, lambda n: _find_version(context, project, n), seed, lambda: _overhead(context, project))


def note_same(proposal: Proposal, incumbent: int, tools: ModelTools | None) -> Proposal:
    """Return a proposal that is not meant as a gain with what a check finds: whether it computes the same function."""
    if tools is None or proposal.category not in EQUAL_SCORE:
        return proposal
    began = time.monotonic()
    is_same = tools.is_same(proposal.text, incumbent)
    spent = round(time.monotonic() - began, 3)
    trace = [*proposal.trace, {"kind": "same", "as": incumbent, "same": is_same, "seconds": spent}]
    return replace(proposal, same_as=incumbent if is_same else None, trace=trace)


def is_private(data: Dataset, share_text: bool) -> bool:
    """Return whether training text must not reach a model: the user's own, without `share_text`."""
    return str(data.meta["source"]).startswith("files:") and not share_text


def _apart(spare: Sequence[int], slots: Sequence[Slot]) -> tuple[int, ...]:
    """Return the spare cores that are not the second thread of a core of a slot; all of them if there are no others."""
    used = {core for slot in slots for core in slot.cores or ()}
    return tuple(core for core in spare if not threads_beside(core) & used) or tuple(spare)


def threads_beside(core: int, folder: Path = Path("/sys/devices/system/cpu")) -> set[int]:
    """Return the logical cores that share a physical one, this one included, as far as the kernel says it."""
    try:
        parts = (folder / f"cpu{core}" / "topology" / "thread_siblings_list").read_text().strip().split(",")
        spans = [(int(first), int(last or first)) for first, _, last in (part.partition("-") for part in parts)]
    except (OSError, ValueError):
        return {core}
    return {core, *(each for first, last in spans for each in range(first, last + 1))}


def _cores_beside(slots: Sequence[Slot]) -> tuple[int, ...]:
    """Return cores for tools on a machine with cards, whose trials may use any core; none if there are few."""
    usable = sorted(os.sched_getaffinity(0))
    left = len(usable) - CARD_CORES * len(slots)
    return tuple(usable[-min(CARD_CORES, left) :]) if left > 0 else ()


def _cpu_settings(settings: Settings, cores: tuple[int, ...]) -> Settings:
    threads = min(settings.threads, len(cores)) if settings.device == "cpu" else len(cores)
    memory = None if settings.memory is None else settings.memory // 2
    return replace(settings, device="cpu", gpu=None, cores=cores, threads=threads, memory=memory)


def _overhead(context: SessionContext, project: Project) -> Overhead | None:
    """Return what limits the time of the session's versions. Any thread may ask."""
    with Ledger.open(project.ledger, readonly=True) as ledger:
        session = require(ledger.session(context.tag))
        spent = base_overhead(ledger, session, 1)
    return Overhead(**spent) if spent else None


def _find_version(context: SessionContext, project: Project, n: int | None) -> tuple[str, str] | None:
    """Return name and text of an experiment, or of the incumbent (None). Any thread may ask."""
    if n is None:
        sha = context.workspace.best(context.tag)
        return None if sha is None else ("the incumbent", context.workspace.read(sha))
    with Ledger.open(project.ledger, readonly=True) as ledger:
        row = ledger.experiment(context.id, n)
    return None if row is None or row.text is None else (f"experiment {n}", row.text)
