"""What protects the score here: the cell is started as for a trial, and attacked from inside."""

import time
from pathlib import Path

from autoresearch.data.dataset import Dataset
from autoresearch.doctor.check import Check
from autoresearch.sandbox import selftest
from autoresearch.sandbox.cell import CellError
from autoresearch.sandbox.selftest import Inspection
from autoresearch.setup.slots import Slot

UNEXPLAINED = "read what a session keeps before you use it, or run it in a virtual machine"


def inspect(slot: Slot, data: Dataset | None, root: Path | None) -> tuple[Inspection | None, Check]:
    """Layers, grade, and how many attempts to get out were blocked; without data, held-out rows are not tried."""
    held = sorted((data.root / "held").iterdir()) if data else []
    library, known = (data.readable_library(), data.weaknesses) if data else (None, [])
    started = time.monotonic()
    try:
        found = selftest.inspect(
            [*held, *([root] if root else [])], library=library, gpu=slot.gpu is not None, known=known
        )
    except CellError as error:
        remedy = "`run` cannot measure anything without one: try another container or kernel"
        return None, Check("cell", "blocker", f"none can be started: {error}", remedy)
    text = f"{str(found).removeprefix('cell: ')} in {time.monotonic() - started:.1f} s"
    return found, Check("cell", "ok" if found.grade == "STRONG" else "warn", text)


def weaknesses(found: Inspection | None) -> list[Check]:
    """What is not protected, and how to get it."""
    parts = [weakness.partition(": ") for weakness in (found.weaknesses if found else [])]
    return [Check("weakness", "warn", what, remedy or UNEXPLAINED) for what, _, remedy in parts]
