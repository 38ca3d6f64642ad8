"""Starts `inside.py` in a cell and introduces it: a cell, a channel to it, and the `hello` that it is owed."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from autoresearch.measure import wire
from autoresearch.measure.cell import Cell, CellError, CellSpec
from autoresearch.measure.data import Dataset
from autoresearch.measure.settings import Settings

PACKAGE = Path(__file__).resolve().parents[1]
INSIDE = PACKAGE / "measure" / "inside.py"
READABLE = (PACKAGE / "measure",)


@dataclass(frozen=True)
class Guest:
    """An untrusted program in its cell, and our end of the channel to it."""

    cell: Cell
    channel: wire.Channel


@contextmanager
def invite(
    mode: str, source: str, seed: int, settings: Settings, data: Dataset, fds: Sequence[int] = ()
) -> Iterator[Guest]:
    """A guest that runs `inside.py MODE`; killed with all its children on leaving. Raises CellError."""
    channel, theirs = wire.Channel.pair()
    try:
        with Cell.start(_spec(mode, theirs.fileno(), settings, data)) as cell:
            theirs.close()
            try:
                _hello(channel, source, seed, settings, data, fds)
            except wire.Closed as closed:  # nothing of train.py has run yet
                raise CellError(f"a cell ended before it was told what to do: {closed}") from None
            yield Guest(cell, channel)
    finally:
        theirs.close()
        channel.close()


def _spec(mode: str, descriptor: int, settings: Settings, data: Dataset) -> CellSpec:
    threads = str(settings.threads)
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    if settings.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = settings.gpu
    return CellSpec(
        program=[sys.executable, "-I", "-u", str(INSIDE), mode],
        fds={3: descriptor},
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
    channel: wire.Channel, source: str, seed: int, settings: Settings, data: Dataset, fds: Sequence[int]
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
