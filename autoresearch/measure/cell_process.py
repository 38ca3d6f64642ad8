"""Start `inside.py` in a cell, with a channel to it."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from autoresearch.data.dataset import Dataset
from autoresearch.measure import wire
from autoresearch.measure.prepare_module import pack_lengths
from autoresearch.measure.settings import Settings
from autoresearch.sandbox.cell import Cell, CellError
from autoresearch.sandbox.launch import CellSpec
from autoresearch.source.prose import without_prose
from autoresearch.source.script import is_script

FOLDER = Path(__file__).resolve().parent
CODE = (FOLDER, FOLDER.with_name("sandbox"))  # all of ours that a trial's cell needs


@dataclass(frozen=True)
class CellProcess:
    """An untrusted program in its cell, and our end of the channel to it."""

    cell: Cell
    channel: wire.Channel

    def kill(self) -> None:
        """Kill the program with all its children and close the channel."""
        try:
            self.cell.kill()
        finally:
            self.channel.close()


class FreshCells:
    """Source of the cells of trials, each started when it is needed."""

    def start(self, mode: str, settings: Settings, data: Dataset) -> CellProcess:
        """Return a process that runs `inside.py MODE` and waits for `hello`. Raises CellError."""
        return start_cell_process(mode, settings, data)

    def wait_until_ready(self) -> None:
        """Wait until no cell that is started ahead could disturb a trial."""

    def close(self) -> None:
        """Kill all cells that are started ahead."""


@dataclass(frozen=True)
class Harness:
    """Settings, data and cells of the trials on one slot."""

    settings: Settings
    data: Dataset
    cells: FreshCells = field(default_factory=FreshCells)

    def can_run_cells(self) -> bool:
        """Return whether a cell as for a trial starts, and dies when it is killed."""
        program = [sys.executable, "-I", "-S", "-c", "input()"]
        try:
            Cell.start(replace(cell_spec(self.settings, self.data), program=program)).kill()
        except CellError:
            return False
        return True


@contextmanager
def open_cell(
    harness: Harness,
    mode: str,
    source: str,
    seed: int,
    fds: Sequence[int] = (),
    caches: Path | None = None,
) -> Iterator[CellProcess]:
    """Start `inside.py MODE` in a cell and send it `hello`; kill it on leaving. Raises CellError."""
    process = harness.cells.start(mode, harness.settings, harness.data)
    try:
        if caches is not None:
            process.cell.add_caches(caches)
        try:
            send_hello(process.channel, source, seed, harness, fds)
        except wire.Closed as closed:  # nothing of train.py has run yet
            raise CellError(f"a cell ended before it was told what to do: {closed}") from None
        yield process
    finally:
        process.kill()


def start_cell_process(mode: str, settings: Settings, data: Dataset, early: bool = False) -> CellProcess:
    """Start `inside.py MODE`, which waits for `hello`; an `early` one imports torch first. Raises CellError."""
    return start_program(cell_spec(settings, data), mode, *(["early"] if early else []))


def start_program(spec: CellSpec, *words: str) -> CellProcess:
    """Start `inside.py WORDS` with the rights of `spec`. Raises CellError."""
    channel, theirs = wire.Channel.pair()
    program = [sys.executable, "-I", "-u", str(FOLDER / "inside.py"), *words]
    try:
        return CellProcess(Cell.start(replace(spec, program=program, fds={3: theirs.fileno()})), channel)
    except BaseException:
        channel.close()
        raise
    finally:
        theirs.close()


def cell_spec(settings: Settings, data: Dataset) -> CellSpec:
    """Return the specification of a trial's cell, without the program."""
    threads = str(settings.threads)
    environment = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
    if settings.gpu is not None:
        environment["CUDA_VISIBLE_DEVICES"] = settings.gpu
    return CellSpec(
        program=[],
        read=CODE,
        library=data.readable_library(),
        threads_only=settings.budget.unit == "cpu",
        gpu=settings.device != "cpu",
        memory=settings.memory if settings.device == "cpu" else None,
        cores=settings.cores,
        environment=environment,
        caches=settings.caches,
        off=settings.layers_off,
    )


def _describe_prepare(harness: Harness) -> wire.Fields:
    """Return what the `prepare` of a script is told of the data."""
    data = harness.data
    return {
        "bos": data.meta["tokenizer"]["bos"],
        "train_rows": data.train_rows,
        "eval_tokens": harness.settings.eval_rows * data.seq_len,
        "token_bytes": pack_lengths(bytes(data.token_bytes().clip(0, 255).tolist())),
    }


def send_hello(channel: wire.Channel, source: str, seed: int, harness: Harness, fds: Sequence[int] = ()) -> None:
    """Send a program its source, its seed, and what it is told of settings and data. Raises wire.Closed."""
    settings, data = harness.settings, harness.data
    text = wire.seal("train.py", without_prose(source).encode())
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
            prepare=_describe_prepare(harness) if is_script(source) else None,
            second_filter=not settings.layers_off & {"seccomp", "second_filter"},  # alone, it protects nothing
        )
    finally:
        os.close(text)
