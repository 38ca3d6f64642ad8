"""Starts `inside.py` in a cell and introduces it: a cell, a channel to it, and the `hello` that it is owed."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.data.dataset import Dataset
from autoresearch.measure import wire
from autoresearch.sandbox.cell import Cell, CellError, CellSpec

if TYPE_CHECKING:
    from autoresearch.measure.settings import Settings

PACKAGE = Path(__file__).resolve().parents[1]
INSIDE = PACKAGE / "measure" / "inside.py"
READABLE = (PACKAGE / "measure",)


@dataclass(frozen=True)
class CellProcess:
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
) -> Iterator[CellProcess]:
    """A guest that runs `inside.py MODE`; killed with all its children on leaving. Raises CellError."""
    guest = settings.lobby.take(mode, settings, data) if settings.lobby else None
    guest = guest or arrive(mode, settings, data)
    try:
        try:
            _hello(guest.channel, source, seed, settings, data, fds)
        except wire.Closed as closed:  # nothing of train.py has run yet
            raise CellError(f"a cell ended before it was told what to do: {closed}") from None
        yield guest
    finally:
        guest.leave()


def arrive(mode: str, settings: "Settings", data: Dataset, early: bool = False) -> CellProcess:
    """A guest that has not been told anything yet; an `early` one imports torch meanwhile. Raises CellError."""
    channel, theirs = wire.Channel.pair()
    program = [sys.executable, "-I", "-u", str(INSIDE), mode, *(["early"] if early else [])]
    try:
        return CellProcess(
            Cell.start(replace(plain(settings, data), program=program, fds={3: theirs.fileno()})), channel
        )
    except BaseException:
        channel.close()
        raise
    finally:
        theirs.close()


def plain(settings: "Settings", data: Dataset) -> CellSpec:
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
