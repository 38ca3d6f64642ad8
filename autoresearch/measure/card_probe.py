"""Try a card in a cell as for a trial, and find the layer of the cell that its driver cannot work with."""

import json
import os
import select
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoresearch.files import JsonObject
from autoresearch.sandbox.cell import Cell, CellError
from autoresearch.sandbox.launch import CellSpec

PROGRAM = Path(__file__).resolve().with_name("card_program.py")
TIMEOUT_S = {"init": 60.0, "product": 180.0}  # a cold disk takes most of it, to read torch and its libraries
LAYERS = ("seccomp", "landlock", "uid", "ns", "caps", "nnp", "rlimits")
ALL_LAYERS = "all of them together"


@dataclass(frozen=True)
class CardProbe:
    """How a card worked in a cell. `failed` is the step that did not work, `error` why; `log` is its output.

    `found` holds what the steps found: `capability` (90 for 9.0), `total` and `free` memory in bytes, and `kernels`:
    by kernel of attention, why it does not work, or None.
    """

    failed: str | None
    error: str
    seconds: float
    log: str = ""
    found: JsonObject = field(default_factory=dict)

    @property
    def total_memory(self) -> int | None:
        total = self.found.get("total")
        return total if isinstance(total, int) else None

    @property
    def kernels(self) -> Mapping[str, str | None]:
        return self.found.get("kernels") or {}


def probe_card(spec: CellSpec, mode: str = "product", device: str = "cuda") -> CardProbe:
    """Run the steps of `card_program.py` in a cell like `spec`; mode `init` ends after cuInit. Raises CellError."""
    began = time.monotonic()
    reader, writer = os.pipe()
    program = [sys.executable, "-I", "-u", str(PROGRAM), mode, device]
    with os.fdopen(reader, "rb", buffering=0) as results:
        try:
            cell = Cell.start(replace(spec, program=program, fds={3: writer}, read=[*spec.read, PROGRAM]))
        finally:
            os.close(writer)
        with cell:
            text, in_time = _read_all(results.fileno(), TIMEOUT_S[mode])
            log = cell.log()
    return summarise(text, in_time, time.monotonic() - began, log)


def find_culprit(spec: CellSpec, mode: str, device: str = "cuda") -> str | None:
    """Return the layer of a cell without which the card works; None if it never works, or no cell can be started."""

    def works_without(*layers: str) -> bool:
        try:
            return probe_card(replace(spec, off=frozenset(layers)), mode, device).failed is None
        except CellError:
            return False

    if not works_without(*LAYERS):
        return None
    return next((layer for layer in LAYERS if works_without(layer)), ALL_LAYERS)


def _read_all(fd: int, seconds: float) -> tuple[bytes, bool]:
    """Read until the writer ends; return what came, and whether it ended in time."""
    deadline, data = time.monotonic() + seconds, b""
    while select.select([fd], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(fd, 1 << 16)
        if not part:
            return data, True
        data += part
    return data, False


def summarise(text: bytes, in_time: bool, seconds: float, log: str) -> CardProbe:
    """Return what the lines of `card_program.py` say; a line that was not written to its end is left out."""
    found: JsonObject = {}
    step: str | None = "start"
    error = "the program ended without a word" if in_time else f"it did not end in {seconds:.0f} s"
    for line in map(json.loads, text.split(b"\n")[:-1]):
        if "step" in line:
            step = str(line["step"])
        elif "error" in line:
            return CardProbe(step, str(line["error"]), seconds, log, found)
        else:
            found |= line
            step = None
    return CardProbe(step, "" if step is None else error, seconds, log, found)
