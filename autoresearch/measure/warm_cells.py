"""Cells that are started ahead, so that trials and scores begin without waiting for `import torch`."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from autoresearch.data.dataset import Dataset
from autoresearch.measure import wire
from autoresearch.measure.cell_process import CellProcess, FreshCells, cell_spec, start_cell_process
from autoresearch.measure.settings import Settings
from autoresearch.sandbox.cell import Cell, CellError
from autoresearch.sandbox.launch import CellSpec

WARM_MODES = ("train", "claim", "audit")
IMPORT_TIMEOUT_S = 60.0

Terms = tuple[CellSpec, bool]


class WarmCells(FreshCells):
    """Keep one idle cell for each mode, with torch imported.

    An idle cell has received nothing: no source, no data, and it has not touched the card. It imports while others
    work. Beside a trial on a CPU that would take memory bandwidth from the trial: there it imports on `cores`, which
    belong to no slot, and `wait_until_ready` is called before the trial's clock starts.
    """

    def __init__(self, cores: Sequence[int] = ()) -> None:
        self.cores = cores
        self._idle: dict[str, tuple[CellProcess, Terms]] = {}
        self._ready: set[str] = set()  # modes whose cell has imported

    def start(self, mode: str, settings: Settings, data: Dataset) -> CellProcess:
        return self.take(mode, settings, data) or start_cell_process(mode, settings, data)

    def take(self, mode: str, settings: Settings, data: Dataset) -> CellProcess | None:
        """Return the idle cell of a mode and start its successor.

        None if there is no idle cell, or if it has died or was started under other terms.
        """
        self._wait_for(mode)
        process, terms = self._idle.pop(mode, (None, None))
        self._ready.discard(mode)
        if mode in WARM_MODES:
            self._start_idle(mode, settings, data)
        if process is not None and (terms != _terms(settings, data) or not _move(process.cell, settings.cores)):
            process.kill()
            return None
        return process

    def wait_until_ready(self) -> None:
        for mode in [*self._idle] if self.cores else []:
            self._wait_for(mode)

    def close(self) -> None:
        while self._idle:
            self._idle.popitem()[1][0].kill()
        self._ready.clear()

    def _start_idle(self, mode: str, settings: Settings, data: Dataset) -> None:
        with suppress(CellError):  # the trial itself will report it
            elsewhere = replace(settings, cores=tuple(self.cores) or settings.cores)
            self._idle[mode] = start_cell_process(mode, elsewhere, data, early=True), _terms(settings, data)

    def _wait_for(self, mode: str) -> None:
        if mode not in self._idle or mode in self._ready:
            return
        with suppress(wire.Closed):  # it has died, and `take` will notice
            if (message := self._idle[mode][0].channel.receive(IMPORT_TIMEOUT_S)) is not None:
                message.close()
        self._ready.add(mode)


def choose_cells(settings: Settings, spare: Sequence[int]) -> FreshCells:
    """Return warm cells where there is a card to import beside, or spare cores; else fresh ones."""
    if settings.gpu is None and not spare:
        return FreshCells()
    return WarmCells(() if settings.gpu else spare)


def _terms(settings: Settings, data: Dataset) -> Terms:
    """Return what a cell is started with: its specification, and whether the base's compile cache exists."""
    return cell_spec(settings, data), settings.caches is not None and settings.caches.exists()


def _move(cell: Cell, cores: Sequence[int] | None) -> bool:
    """Move a cell to these cores (None: to any) and return whether it is alive."""
    try:
        for thread in Path(f"/proc/{cell.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores or os.sched_getaffinity(0))
    except OSError:
        return False
    return cell.is_running()
