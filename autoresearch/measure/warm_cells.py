"""Cells that are started ahead: whoever waits in one begins the next trial, or scores it, without importing torch first."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.data.dataset import Dataset
from autoresearch.measure import wire
from autoresearch.measure.cell_process import CellProcess, arrive, plain
from autoresearch.sandbox.cell import Cell, CellError, CellSpec

if TYPE_CHECKING:
    from autoresearch.measure.settings import Settings

TASKS = ("train", "claim", "audit")
PATIENCE = 60.0  # s that importing may take

Terms = tuple[CellSpec, bool]


class WarmCells:
    """Guests that wait in cells of their own, with torch imported, so that the next trial or score begins at once.

    Nobody has told them anything: no source, no data, and a card they have not touched. They import while the others
    are at work. Beside a trial on a CPU that would cost it memory bandwidth: there they do so on `cores` that are no
    slot's, and `settle` is called before its clock starts.
    """

    def __init__(self, cores: Sequence[int] = ()) -> None:
        self.cores = cores
        self._waiting: dict[str, tuple[CellProcess, Terms]] = {}
        self._there: set[str] = set()  # who has imported

    def take(self, mode: str, settings: "Settings", data: Dataset) -> CellProcess | None:
        """The guest that waits for such a task; None if there is none, it has died, or is not as it would be now.

        The next one of its kind is called at once.
        """
        self._settle(mode)
        guest, terms = self._waiting.pop(mode, (None, None))
        self._there.discard(mode)
        if mode in TASKS:
            self._call(mode, settings, data)
        if guest is not None and (terms != _terms(settings, data) or not _moved(guest.cell, settings.cores)):
            guest.leave()
            return None
        return guest

    def settle(self) -> None:
        """Wait until all have imported, where that would cost the trial something."""
        for mode in [*self._waiting] if self.cores else []:
            self._settle(mode)

    def close(self) -> None:
        """Send everybody home."""
        while self._waiting:
            self._waiting.popitem()[1][0].leave()
        self._there.clear()

    def _call(self, mode: str, settings: "Settings", data: Dataset) -> None:
        """Where none can be started, the trial will say why."""
        with suppress(CellError):
            guest = arrive(mode, replace(settings, cores=tuple(self.cores) or settings.cores), data, early=True)
            self._waiting[mode] = guest, _terms(settings, data)

    def _settle(self, mode: str) -> None:
        if mode not in self._waiting or mode in self._there:
            return
        with suppress(wire.Closed):  # it has died, and is not used
            if (message := self._waiting[mode][0].channel.receive(PATIENCE)) is not None:
                message.close()
        self._there.add(mode)


def with_lobby(settings: "Settings", spare: Sequence[int]) -> "Settings":
    """With a lobby, where there is a card to work beside, or there are spare cores."""
    if settings.gpu is None and not spare:
        return settings
    return replace(settings, lobby=WarmCells(() if settings.gpu else spare))


def _terms(settings: "Settings", data: Dataset) -> Terms:
    """What a guest is given: its cell, and in that the base's compile cache, if there is one yet."""
    return plain(settings, data), settings.caches is not None and settings.caches.exists()


def _moved(cell: Cell, cores: Sequence[int] | None) -> bool:
    """Whether a cell is alive, and now on these cores; None: on any."""
    try:
        for thread in Path(f"/proc/{cell.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores or os.sched_getaffinity(0))
    except OSError:
        return False
    return cell.running()
