"""Checks of the protection of scores: a cell is started as for a trial, and attacked from inside."""

import time
from pathlib import Path

from autoresearch.data import exposure
from autoresearch.data.dataset import Dataset
from autoresearch.doctor.check import Check
from autoresearch.sandbox import visible_paths
from autoresearch.sandbox.cell import CellError
from autoresearch.sandbox.selftest import Inspection
from autoresearch.setup.project import attack_cell
from autoresearch.setup.slots import Slot

SEARCH_S = 3.0
UNEXPLAINED = "read what a session keeps before you use it, or run it in a virtual machine"


def check_exposure(data: Dataset) -> tuple[str | None, Check]:
    """Search what a cell can read for lines of val and holdout; return the reason for grade WEAK, if any."""
    view = visible_paths.view([], data.readable_library(), gpu=False, network=False)
    found = exposure.search(exposure.held_out_lines(data), view["readable"], SEARCH_S)
    extent = "all" if found.is_complete else f"{SEARCH_S:g} s"
    text = f"{found}, in {found.searched_bytes / 1e6:.0f} MB of text that training code can read ({extent})"
    if found.note is None:
        return None, Check("val text", "ok", text)
    return found.note, Check("val text", "warn", text, found.note.partition(": ")[2])


def check_cell(
    slot: Slot, data: Dataset | None, root: Path | None, note: str | None = None
) -> tuple[Inspection | None, Check]:
    """Grade the cell, and time the attacks."""
    started = time.monotonic()
    try:
        inspection = attack_cell(slot, data, root, [note] if note else [])
    except CellError as error:
        remedy = "`run` cannot measure anything without one: try another container or kernel"
        return None, Check("cell", "blocker", f"none can be started: {error}", remedy)
    text = f"{str(inspection).removeprefix('cell: ')} in {time.monotonic() - started:.1f} s"
    return inspection, Check("cell", "ok" if inspection.grade == "STRONG" else "warn", text)


def list_weaknesses(inspection: Inspection | None) -> list[Check]:
    parts = [weakness.partition(": ") for weakness in (inspection.weaknesses if inspection else [])]
    return [Check("weakness", "warn", what, remedy or UNEXPLAINED) for what, _, remedy in parts]
