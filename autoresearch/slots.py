"""Where trials run: one GPU, or CPU cores, each taken by one program at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from autoresearch.errors import Blocker
from autoresearch.measure import machine

CUDA_BUILD = "`pip install --force-reinstall torch --index-url https://download.pytorch.org/whl/cu128` installs a CUDA build"


@dataclass(frozen=True)
class Slot:
    """A place for one trial. `cores` is None where the trial may use any."""

    name: str
    device: str
    gpu: str | None = None
    cores: tuple[int, ...] | None = None


def choose(device: str = "auto", threads: int = 1) -> Slot:
    """The slot to use: the first GPU that torch can use, else the last cores. Raises Blocker."""
    cards = machine.gpus() if device != "cpu" else []
    if cards and (machine.version("torch") or "").endswith("+cpu"):
        raise Blocker(f"this torch cannot use the NVIDIA card: {CUDA_BUILD}, or use --device cpu")
    if cards:
        return Slot(f"gpu-{cards[0]}", "cuda", gpu=cards[0])
    if device == "cuda":
        raise Blocker("no NVIDIA card is visible here: see `autoresearch doctor`, or use --device cpu")
    return cpu(threads)


def cpu(threads: int) -> Slot:
    """The last cores of this machine, so that the first stay free for everything else."""
    usable = sorted(os.sched_getaffinity(0))
    cores = tuple(usable[-threads:]) if len(usable) > threads else None
    return Slot("cpu-" + "-".join(map(str, cores or usable)), "cpu", cores=cores)


@contextmanager
def hold(slot: Slot, folder: Path) -> Iterator[Slot]:
    """The slot for ourselves. Raises Blocker when another program of ours measures on it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder / f"{slot.name}.lock")
    try:
        with lock.acquire(timeout=0):
            yield slot
    except filelock.Timeout:
        raise Blocker(f"another autoresearch measures on {slot.name}: stop it, or wait for it") from None
