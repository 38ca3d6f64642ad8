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
        found = attack_cell(slot, data, root)
    except CellError as error:
        remedy = "`run` cannot measure anything without one: try another container or kernel"
        return None, Check("cell", "blocker", f"none can be started: {error}", remedy)
    text = f"{str(found).removeprefix('cell: ')} in {time.monotonic() - started:.1f} s"
    return found, Check("cell", "ok" if found.grade == "STRONG" else "warn", text)


def list_weaknesses(found: Inspection | None) -> list[Check]:
    parts = [weakness.partition(": ") for weakness in (found.weaknesses if found else [])]
    return [Check("weakness", "warn", what, remedy or UNEXPLAINED) for what, _, remedy in parts]
