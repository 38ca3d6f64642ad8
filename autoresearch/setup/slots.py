"""Slots for trials: one GPU, or CPU cores, each used by one program at a time."""

import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import filelock

from autoresearch import hardware
from autoresearch.config import cache_folder
from autoresearch.errors import Blocker, UsageError, UserError, describe_install
from autoresearch.files import read_json
from autoresearch.ledger import Ledger, is_alive
from autoresearch.workspace import git

RUN = "autoresearch run"  # as a holder of a slot is called
POLL_S = 0.2  # for a slot that another program uses
CARD_TORCH = (2, 11)  # first version whose `varlen_attn` has windows


@dataclass(frozen=True)
class Slot:
    """Hardware for one trial. `cores` is None if the trial may use any; `remote` if it runs on another machine."""

    name: str
    device: str
    gpu: str | None = None
    cores: tuple[int, ...] | None = None
    remote: bool = False

    @property
    def locks(self) -> list[str]:
        """Return the names of the locks that a program needs to measure here."""
        if self.remote:
            return []
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
    if cards and (setting := hardware.ambiguous_numbers()) is not None:
        remedy = "set CUDA_DEVICE_ORDER=PCI_BUS_ID to number them as `nvidia-smi` does, or name UUIDs (`nvidia-smi -L`)"
        raise Blocker(f"CUDA_VISIBLE_DEVICES={setting} may mean another card, for the cards here differ: {remedy}")
    if cards:
        return tuple(card_slot(cards, number) for number in numbers)
    if device == "cuda":
        setting = os.environ.get(hardware.VISIBLE_DEVICES)
        named = "" if setting is None else f" (CUDA_VISIBLE_DEVICES is {setting!r})"
        raise Blocker(f"no NVIDIA card is visible here{named}: see what `nvidia-smi -L` says, or use --device cpu")
    return tuple(cpu_slot(threads, number) for number in numbers)


def card_slot(cards: Sequence[str], number: int) -> Slot:
    """Return the slot of a card. Raises UsageError if there is none with this number."""
    if number >= len(cards):
        raise UsageError(f"there is no slot {number}: {len(cards)} cards are visible here, numbered from 0")
    if hardware.gpu_name(cards[number]) != hardware.gpu_name(cards[0]):
        raise UsageError(f"slot {number} is another type of card than slot 0: their scores could not be compared")
    return Slot(f"gpu-{cards[number]}", "cuda", gpu=cards[number])


def torch_problem() -> tuple[str, str] | None:
    """Return why the installed torch cannot use the NVIDIA cards, and the remedy; None if no reason is known."""
    built, driver, install = hardware.torch_cuda(), hardware.driver_cuda() or "", install_command()
    if built is None:
        return "there is an NVIDIA card, but this torch is a CPU build", f"{install} installs one for CUDA"
    if lacks_windows(found := hardware.version("torch") or ""):
        return f"torch {found} has no attention with windows for a card, 2.11 and newer have", install
    if driver and _major(built) > _major(driver):
        return f"this torch is for CUDA {built}, the NVIDIA driver is for {driver}", f"update the driver, or {install}"
    return None


def install_command() -> str:
    """Return the command that installs a torch for the driver, with windows in its fast attention."""
    index = "cu130" if _major(hardware.driver_cuda() or "") >= 13 else "cu128"
    wheels = f"https://download.pytorch.org/whl/{index}"
    return describe_install("--force-reinstall", "torch>=2.11,<2.14", "--index-url", wheels)


def is_for_cuda_13() -> bool:
    """Return whether the installed torch was built for CUDA 13 or newer."""
    return _major(hardware.torch_cuda() or "") >= 13


def lacks_windows(torch: str) -> bool:
    """Return whether the attention for packed rows of this version knows no windows."""
    numbers = re.match(r"(\d+)\.(\d+)", torch)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) < CARD_TORCH


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


@dataclass(frozen=True)
class Holder:
    """The program that measures on a slot, as it has written beside its lock."""

    pid: int
    command: str
    folder: str

    @classmethod
    def current(cls) -> "Holder":
        return cls(os.getpid(), " ".join(["autoresearch", *sys.argv[1:2]]), str(Path.cwd()))

    @classmethod
    def read(cls, path: Path) -> "Holder | None":
        """Return the holder that a file names; None if there is none, or if it has ended."""
        note = read_json(path) or {}
        try:
            found = cls(int(note["pid"]), str(note["command"]), str(note["folder"]))
        except (KeyError, TypeError, ValueError):
            return None
        return found if Path(f"/proc/{found.pid}").exists() else None

    def is_run_beside(self, other: "Holder") -> bool:
        """Return whether both are `run` in one repository: the second would go on with the session of the first."""
        with suppress(Blocker):
            return self.command == other.command == RUN and self._top() == other._top()
        return False

    def _top(self) -> Path:
        return git.top_folder(Path(self.folder))

    def __str__(self) -> str:
        tag = self._tag()
        return f"process {self.pid}, `{self.command}` in {self.folder}" + (f", session {tag}" if tag else "")

    def _tag(self) -> str | None:
        """Return the session that the process works on, if its ledger can be read."""
        with suppress(UserError, OSError), Ledger.open(self._top() / "runs" / "ledger.db", readonly=True) as ledger:
            return next((each.tag for each in ledger.sessions() if each.pid == self.pid and is_alive(each)), None)
        return None


@contextmanager
def lock(slots: Sequence[Slot], on_wait: Callable[[str], None] | None = None) -> Iterator[None]:
    """Lock the slots for this program; with `on_wait`, wait until they are free, and call it once for each wait.

    Raises Blocker if another program measures on one of them.
    """
    pairs = [(name, slot) for slot in slots for name in slot.locks]
    with ExitStack() as locks:
        for name, slot in sorted(pairs, key=lambda pair: pair[0]):  # in one order: no two programs wait for each other
            locks.enter_context(_hold(name, slot, on_wait))
        yield


@contextmanager
def take_one(slots: Sequence[Slot]) -> Iterator[Slot]:
    """Lock the first of the slots that is free, and wait while none is. Raises OSError if no lock can be written."""
    with ExitStack() as locks:
        yield _take_free(slots, locks)


def _take_free(slots: Sequence[Slot], locks: ExitStack) -> Slot:
    _lock_path("").parent.mkdir(parents=True, exist_ok=True)
    while True:
        for slot in slots:
            if all(_is_free(name) for name in slot.locks):
                with suppress(Blocker):  # another process was faster
                    locks.enter_context(lock([slot]))
                    return slot
        time.sleep(POLL_S)


@contextmanager
def _hold(name: str, slot: Slot, on_wait: Callable[[str], None] | None) -> Iterator[None]:
    path = _lock_path(name)
    note = path.with_suffix(".json")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = filelock.FileLock(path)
        if not _acquires(held):
            if on_wait is None:
                raise Blocker(_describe_conflict(slot, Holder.read(note)))
            on_wait(f"waits for {slot.name}: {Holder.read(note) or 'another autoresearch'} measures on it")
            held.acquire()
    except OSError as error:
        failure = f"{path.parent} cannot be used ({error.strerror})"
        raise Blocker(f"{failure}: set AUTORESEARCH_CACHE to a folder of yours") from None
    try:
        with suppress(OSError):
            note.write_text(json.dumps(asdict(Holder.current())))
        yield
    finally:
        with suppress(OSError):
            note.unlink(missing_ok=True)
        held.release()


def _acquires(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        return False
    return True


def _lock_path(name: str) -> Path:
    return cache_folder() / "locks" / f"{name}.lock"


def _describe_conflict(slot: Slot, holder: Holder | None) -> str:
    who = f" ({holder})" if holder else ""
    free = _find_free(slot)
    tag = " --tag NEW" if holder and holder.is_run_beside(Holder.current()) else ""
    other = "" if free is None else f"--slots {free[0]}{tag} ({free[1].name}) is free, or "
    return f"another autoresearch measures on {slot.name}{who}: {other}--wait until it ends, or stop it"


def _find_free(taken: Slot) -> tuple[int, Slot] | None:
    """Return a slot of the same kind that is free now, with its number."""
    if taken.gpu is None and taken.cores is None:
        return None
    count = len(hardware.gpus()) if taken.gpu else len(os.sched_getaffinity(0)) // len(taken.cores or (0,))
    for number in range(count):
        with suppress(UsageError, OSError):  # another type of card; a lock of another user
            slot = card_slot(hardware.gpus(), number) if taken.gpu else cpu_slot(len(taken.cores or (0,)), number)
            if all(_is_free(name) for name in slot.locks):
                return number, slot
    return None


def _is_free(name: str) -> bool:
    lock = filelock.FileLock(_lock_path(name))
    is_free = _acquires(lock)
    lock.release()
    return is_free
