"""Starts `inside.py` in a cell and introduces it: a cell, a channel to it, and the `hello` that it is owed."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.measure import wire
from autoresearch.measure.cell import Cell, CellError, CellSpec
from autoresearch.measure.data import Dataset

if TYPE_CHECKING:
    from autoresearch.measure.settings import Settings

PACKAGE = Path(__file__).resolve().parents[1]
INSIDE = PACKAGE / "measure" / "inside.py"
READABLE = (PACKAGE / "measure",)
TASKS = ("train", "claim", "audit")
PATIENCE = 60.0  # s that importing may take


@dataclass(frozen=True)
class Guest:
    """An untrusted program in its cell, and our end of the channel to it."""

    cell: Cell
    channel: wire.Channel

    def leave(self) -> None:
        """Kill it with all its children."""
        try:
            self.cell.kill()
        finally:
            self.channel.close()


@contextmanager
def invite(
    mode: str, source: str, seed: int, settings: "Settings", data: Dataset, fds: Sequence[int] = ()
) -> Iterator[Guest]:
    """A guest that runs `inside.py MODE`; killed with all its children on leaving. Raises CellError."""
    guest = settings.lobby.take(mode, settings, data) if settings.lobby else None
    guest = guest or _arrive(mode, settings, data)
    try:
        try:
            _hello(guest.channel, source, seed, settings, data, fds)
        except wire.Closed as closed:  # nothing of train.py has run yet
            raise CellError(f"a cell ended before it was told what to do: {closed}") from None
        yield guest
    finally:
        guest.leave()


class Lobby:
    """Guests that wait in cells of their own, with torch imported, so that the next trial or score begins at once.

    Nobody has told them anything: no source, no data, and a card they have not touched. They import while the others
    are at work. Beside a trial on a CPU that would cost it memory bandwidth: there they do so on `cores` that are no
    slot's, and `settle` is called before its clock starts.
    """

    def __init__(self, cores: Sequence[int] = ()) -> None:
        self.cores = cores
        self._waiting: dict[str, tuple[Guest, CellSpec]] = {}
        self._there: set[str] = set()  # who has imported

    def take(self, mode: str, settings: "Settings", data: Dataset) -> Guest | None:
        """The guest that waits for such a task; None if there is none, it has died, or is not as it would be now.

        The next one of its kind is called at once.
        """
        self._settle(mode)
        guest, spec = self._waiting.pop(mode, (None, None))
        self._there.discard(mode)
        if mode in TASKS:
            self._call(mode, settings, data)
        if guest is not None and (spec != _plain(settings, data) or not _moved(guest.cell, settings.cores)):
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

    def _call(self, mode: str, settings: "Settings", data: Dataset) -> None:
        """Where none can be started, the trial will say why."""
        with suppress(CellError):
            guest = _arrive(mode, replace(settings, cores=tuple(self.cores) or settings.cores), data, early=True)
            self._waiting[mode] = guest, _plain(settings, data)

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
    return replace(settings, lobby=Lobby(() if settings.gpu else spare))


def _moved(cell: Cell, cores: Sequence[int] | None) -> bool:
    """Whether a cell is alive, and now on these cores; None: on any."""
    try:
        for thread in Path(f"/proc/{cell.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores or os.sched_getaffinity(0))
    except OSError:
        return False
    return cell.running()


def _arrive(mode: str, settings: "Settings", data: Dataset, early: bool = False) -> Guest:
    """A guest that has not been told anything yet; an `early` one imports torch meanwhile. Raises CellError."""
    channel, theirs = wire.Channel.pair()
    program = [sys.executable, "-I", "-u", str(INSIDE), mode, *(["early"] if early else [])]
    try:
        return Guest(Cell.start(replace(_plain(settings, data), program=program, fds={3: theirs.fileno()})), channel)
    except BaseException:
        channel.close()
        raise
    finally:
        theirs.close()


def _plain(settings: "Settings", data: Dataset) -> CellSpec:
    """The cell of any guest, without what runs in it."""
    threads = str(settings.threads)
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    if settings.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = settings.gpu
    return CellSpec(
        program=[],
        read=READABLE,
        library=data.readable_library(),
        threads_only=settings.budget.unit == "cpu",
        gpu=settings.device != "cpu",
        memory=settings.memory if settings.device == "cpu" else None,
        cores=settings.cores,
        environment=environment,
        caches=settings.caches,
        off=settings.layers_off,
    )


def _hello(
    channel: wire.Channel, source: str, seed: int, settings: "Settings", data: Dataset, fds: Sequence[int]
) -> None:
    text = wire.sealed("train.py", source.encode())
    try:
        channel.send(
            "hello",
            [text, *fds],
            vocab_size=data.vocab_size,
            seq_len=data.seq_len,
            device=settings.device,
            eval_batch=settings.eval_batch,
            threads=settings.threads,
            seed=seed,
            unit=settings.budget.unit,
            budget=settings.budget.amount,
            reserve=settings.budget.reserve,
        )
    finally:
        os.close(text)
