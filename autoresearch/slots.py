"""Where trials run: one GPU, or CPU cores, each taken by one program at a time."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from autoresearch.errors import Blocker
from autoresearch.measure import machine


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
    if cards and (found := trouble()) is not None:
        raise Blocker(f"{found[0]}: {found[1]}, or use --device cpu")
    if cards:
        return Slot(f"gpu-{cards[0]}", "cuda", gpu=cards[0])
    if device == "cuda":
        raise Blocker("no NVIDIA card is visible here: see what `nvidia-smi` says, or use --device cpu")
    return cpu(threads)


def trouble() -> tuple[str, str] | None:
    """Why the installed torch cannot use the NVIDIA cards, and what to do; None if nothing speaks against it."""
    built, driver = machine.torch_cuda(), machine.driver_cuda() or ""
    index = "cu130" if _major(driver) >= 13 else "cu128"
    install = f"`pip install --force-reinstall 'torch>=2.9,<2.14' --index-url https://download.pytorch.org/whl/{index}`"
    if built is None:
        return "there is an NVIDIA card, and this torch is a CPU build", f"{install} installs one for CUDA"
    if driver and _major(built) > _major(driver):
        return f"this torch is for CUDA {built}, the NVIDIA driver is for {driver}", f"update the driver, or {install}"
    return None


def _major(version: str) -> int:
    return int(version.partition(".")[0] or 0)


def cpu(threads: int) -> Slot:
    """The last cores of this machine, so that the first stay free for everything else."""
    usable = sorted(os.sched_getaffinity(0))
    cores = tuple(usable[-threads:]) if len(usable) > threads else None
    return Slot("cpu-" + "-".join(map(str, cores or usable)), "cpu", cores=cores)


@contextmanager
def hold(slot: Slot, folder: Path) -> Iterator[Slot]:
    """The slot for ourselves. Raises Blocker when another program of ours measures on it."""
    lock = filelock.FileLock(folder / f"{slot.name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Blocker(f"another autoresearch measures on {slot.name}: stop it, or wait for it") from None
    except OSError as error:
        raise Blocker(f"{folder} cannot be used ({error.strerror}): set AUTORESEARCH_CACHE to a folder of yours") from None
    try:
        yield slot
    finally:
        lock.release()
