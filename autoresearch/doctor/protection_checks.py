"""Checks of the protection of scores: a cell is started as for a trial, and attacked from inside."""

import time
from pathlib import Path

from autoresearch.data.dataset import Dataset
from autoresearch.doctor.check import Check
from autoresearch.sandbox.cell import CellError
from autoresearch.sandbox.selftest import Inspection
from autoresearch.setup.project import attack_cell
from autoresearch.setup.slots import Slot

UNEXPLAINED = "read what a session keeps before you use it, or run it in a virtual machine"


def check_cell(slot: Slot, data: Dataset | None, root: Path | None) -> tuple[Inspection | None, Check]:
    """Grade the cell, and time the attacks."""
    started = time.monotonic()
    try:
        inspection = attack_cell(slot, data, root)
    except CellError as error:
        remedy = "`run` cannot measure anything without one: try another container or kernel"
        return None, Check("cell", "blocker", f"none can be started: {error}", remedy)
    text = f"{str(inspection).removeprefix('cell: ')} in {time.monotonic() - started:.1f} s"
    return inspection, Check("cell", "ok" if inspection.grade == "STRONG" else "warn", text)


def list_weaknesses(inspection: Inspection | None) -> list[Check]:
    parts = [weakness.partition(": ") for weakness in (inspection.weaknesses if inspection else [])]
    return [Check("weakness", "warn", what, remedy or UNEXPLAINED) for what, _, remedy in parts]
