"""Where trials run: one GPU, or CPU cores, each taken by one program at a time."""

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import filelock

from autoresearch import hardware
from autoresearch.errors import Blocker, UsageError


@dataclass(frozen=True)
class Slot:
    """A place for one trial. `cores` is None where the trial may use any."""

    name: str
    device: str
    gpu: str | None = None
    cores: tuple[int, ...] | None = None

    @property
    def locks(self) -> list[str]:
        """What nobody else may measure on meanwhile."""
        if self.gpu is not None:
            return [self.name]
        return [f"cpu-{core}" for core in self.cores or sorted(os.sched_getaffinity(0))]


def choose(device: str = "auto", threads: int = 1, numbers: Sequence[int] = (0,)) -> tuple[Slot, ...]:
    """The slots to use, by their numbers: GPUs if torch can use one, else cores from the last one down.

    Raises Blocker, UsageError where there is no such slot.
    """
    cards = hardware.gpus() if device != "cpu" else []
    if cards and (found := trouble()) is not None:
        raise Blocker(f"{found[0]}: {found[1]}, or use --device cpu")
    if cards:
        return tuple(_gpu(cards, number) for number in numbers)
    if device == "cuda":
        raise Blocker("no NVIDIA card is visible here: see what `nvidia-smi` says, or use --device cpu")
    return tuple(cpu(threads, number) for number in numbers)


def _gpu(cards: Sequence[str], number: int) -> Slot:
    if number >= len(cards):
        raise UsageError(f"there is no slot {number}: {len(cards)} cards are visible here, from 0 on")
    if hardware.gpu_name(cards[number]) != hardware.gpu_name(cards[0]):
        raise UsageError(f"slot {number} is another card than slot 0: their scores could not be compared")
    return Slot(f"gpu-{cards[number]}", "cuda", gpu=cards[number])


def trouble() -> tuple[str, str] | None:
    """Why the installed torch cannot use the NVIDIA cards, and what to do; None if nothing speaks against it."""
    built, driver = hardware.torch_cuda(), hardware.driver_cuda() or ""
    index = "cu130" if _major(driver) >= 13 else "cu128"
    install = f"`pip install --force-reinstall 'torch>=2.9,<2.14' --index-url https://download.pytorch.org/whl/{index}`"
    if built is None:
        return "there is an NVIDIA card, and this torch is a CPU build", f"{install} installs one for CUDA"
    if driver and _major(built) > _major(driver):
        return f"this torch is for CUDA {built}, the NVIDIA driver is for {driver}", f"update the driver, or {install}"
    return None


def _major(version: str) -> int:
    return int(version.partition(".")[0] or 0)


def cpu(threads: int, number: int = 0) -> Slot:
    """Cores of this machine, the last ones first, so that the first stay free for everything else. Raises UsageError."""
    usable = sorted(os.sched_getaffinity(0))
    end = len(usable) - number * threads
    cores = tuple(usable[max(0, end - threads) : max(0, end)])
    if number and len(cores) < threads:
        most = len(usable) // threads
        raise UsageError(
            f"there is no slot {number}: {len(usable)} cores are enough for {most} slots of {threads}, from 0 on"
        )
    alone = len(usable) <= threads
    return Slot("cpu-" + "-".join(map(str, cores)), "cpu", cores=None if alone else cores)


@contextmanager
def hold(slots: Sequence[Slot], folder: Path) -> Iterator[None]:
    """The slots for ourselves. Raises Blocker when another program of ours measures on one of them."""
    with ExitStack() as held:
        for slot in slots:
            for name in slot.locks:
                held.callback(_lock(name, slot, folder).release)
        yield


def _lock(name: str, slot: Slot, folder: Path) -> filelock.BaseFileLock:
    lock = filelock.FileLock(folder / f"{name}.lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except filelock.Timeout:
        raise Blocker(f"another autoresearch measures on {slot.name}: stop it, or wait for it") from None
    except OSError as error:
        raise Blocker(
            f"{folder} cannot be used ({error.strerror}): set AUTORESEARCH_CACHE to a folder of yours"
        ) from None
    return lock
