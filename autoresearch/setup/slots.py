"""Slots for trials: one GPU, or CPU cores, each used by one program at a time."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import filelock

from autoresearch import hardware
from autoresearch.config import cache_folder
from autoresearch.errors import Blocker, UsageError


@dataclass(frozen=True)
class Slot:
    """Hardware for one trial. `cores` is None if the trial may use any."""

    name: str
    device: str
    gpu: str | None = None
    cores: tuple[int, ...] | None = None

    @property
    def locks(self) -> list[str]:
        """Return the names of the locks that a program needs to measure here."""
        if self.gpu is not None:
            return [self.name]
        return [f"cpu-{core}" for core in self.cores or sorted(os.sched_getaffinity(0))]


def choose(device: str = "auto", threads: int = 1, numbers: Sequence[int] = (0,)) -> tuple[Slot, ...]:
    """Return the slots with these numbers: GPUs if torch can use one, else cores from the last one down.

    Raises Blocker, or UsageError if there is no such slot.
    """
    cards = hardware.gpus() if device != "cpu" else []
    if cards and (problem := torch_problem()) is not None:
        raise Blocker(f"{problem[0]}: {problem[1]}, or use --device cpu")
    if cards:
        return tuple(_gpu_slot(cards, number) for number in numbers)
    if device == "cuda":
        raise Blocker("no NVIDIA card is visible here: see what `nvidia-smi` says, or use --device cpu")
    return tuple(cpu_slot(threads, number) for number in numbers)


def _gpu_slot(cards: Sequence[str], number: int) -> Slot:
    if number >= len(cards):
        raise UsageError(f"there is no slot {number}: {len(cards)} cards are visible here, numbered from 0")
    if hardware.gpu_name(cards[number]) != hardware.gpu_name(cards[0]):
        raise UsageError(f"slot {number} is another type of card than slot 0: their scores could not be compared")
    return Slot(f"gpu-{cards[number]}", "cuda", gpu=cards[number])


def torch_problem() -> tuple[str, str] | None:
    """Return why the installed torch cannot use the NVIDIA cards, and the remedy; None if no reason is known."""
    built, driver = hardware.torch_cuda(), hardware.driver_cuda() or ""
    index = "cu130" if _major(driver) >= 13 else "cu128"
    install = f"`pip install --force-reinstall 'torch>=2.9,<2.14' --index-url https://download.pytorch.org/whl/{index}`"
    if built is None:
        return "there is an NVIDIA card, but this torch is a CPU build", f"{install} installs one for CUDA"
    if driver and _major(built) > _major(driver):
        return f"this torch is for CUDA {built}, the NVIDIA driver is for {driver}", f"update the driver, or {install}"
    return None


def _major(version: str) -> int:
    return int(version.partition(".")[0] or 0)


def cpu_slot(threads: int, number: int = 0) -> Slot:
    """Return a group of cores, counted from the last core, which other programs use least. Raises UsageError."""
    usable = sorted(os.sched_getaffinity(0))
    end = len(usable) - number * threads
    cores = tuple(usable[max(0, end - threads) : max(0, end)])
    if number and len(cores) < threads:
        groups = f"{len(usable)} cores make {len(usable) // threads} slots of {threads}"
        raise UsageError(f"there is no slot {number}: {groups}, numbered from 0")
    alone = len(usable) <= threads
    return Slot("cpu-" + "-".join(map(str, cores)), "cpu", cores=None if alone else cores)


@contextmanager
def lock(slots: Sequence[Slot]) -> Iterator[None]:
    """Lock the slots for this program. Raises Blocker if another program measures on one of them."""
    with ExitStack() as locks:
        for slot in slots:
            for name in slot.locks:
                locks.callback(_acquire(name, slot).release)
        yield


def _acquire(name: str, slot: Slot) -> filelock.BaseFileLock:
    folder = cache_folder() / "locks"
    acquired = filelock.FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        acquired.acquire(timeout=0)
    except filelock.Timeout:
        raise Blocker(f"another autoresearch measures on {slot.name}: stop it, or wait until it ends") from None
    except OSError as error:
        failure = f"{folder} cannot be used ({error.strerror})"
        raise Blocker(f"{failure}: set AUTORESEARCH_CACHE to a folder of yours") from None
    return acquired
