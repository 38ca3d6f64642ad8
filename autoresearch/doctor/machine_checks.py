"""Checks of the machine: Python, torch, card, memory, git, disks. They do not import torch."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from autoresearch import hardware
from autoresearch.config import cache_folder
from autoresearch.doctor.check import Check
from autoresearch.errors import UserError, describe_install
from autoresearch.measure import core_meter
from autoresearch.setup import bytecode, slots

PYTHONS = ((3, 11), (3, 14))  # first version that works, first version that is not tested
DISK_BYTES = {"runs": (0.2e9, 2e9), "cache": (0.5e9, 5e9)}  # minimum, and enough for an overnight session
MEMORY_BYTES = {"cpu": 3e9, "cuda": 16e9}  # for two cells with torch, and the data
BUSY_CARD_BYTES = 1e9  # memory in use on a card that no program should be using
CORE_READINGS = 20  # about a second
NVIDIA = Path("/proc/driver/nvidia/version")


def check_python() -> Check:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return Check("python", "blocker", text, "Linux is needed: use WSL2, a container or a virtual machine")
    if not PYTHONS[0] <= sys.version_info < PYTHONS[1]:
        return Check("python", "warn", text, "3.11, 3.12 and 3.13 are tested")
    return Check("python", "ok", text)


def check_torch(device: str) -> Check:
    """Check the version of torch, and that it can use the cards that trials will use."""
    version = hardware.version("torch")
    if version is None:
        return Check("torch", "blocker", "not installed", describe_install("torch>=2.9,<2.14"))
    built = hardware.torch_cuda()
    text = f"{version}, {f'for CUDA {built}' if built else 'a CPU build'}"
    if device != "cpu" and hardware.gpus() and (problem := slots.torch_problem()) is not None:
        return Check("torch", "blocker", f"{version}: {problem[0]}", f"{problem[1]}; or use --device cpu")
    folder = bytecode.find_folder("torch")
    if folder is None or bytecode.has_bytecode("torch"):
        return Check("torch", "ok", text)
    if os.access(folder, os.W_OK):
        return Check("torch", "ok", f"{text}, not compiled to bytecode yet: `run` does that once")
    remedy = f"`{sys.executable} -m compileall -q {folder.parent}`, as a user who may write there"
    return Check("torch", "warn", f"{text}, not compiled to bytecode: each trial begins some seconds later", remedy)


def check_card(device: str) -> Check:
    """Check that the driver of the NVIDIA card answers, and that the card is free."""
    cards = hardware.gpus()
    if not cards and NVIDIA.exists() and device != "cpu":
        remedy = "start the container with the driver's libraries: `--gpus all`, or reinstall the driver"
        return Check("card", "warn", "there is one, but its driver does not answer", remedy)
    if not cards:
        return Check("card", "ok", "no NVIDIA card")
    memory = hardware.gpu_memory(cards[0])
    size = "memory unknown to NVML" if memory is None else f"{memory[0] / 1e9:.0f} GB"
    text = f"{hardware.gpu_name(cards[0])}, {size}"
    text += f", driver {hardware.driver()} for CUDA {hardware.driver_cuda() or 'unknown'}"
    used = 0 if memory is None else memory[1]
    if len(cards) > 1:
        text += f" (the first of {len(cards)}: one is used)"
    if used > BUSY_CARD_BYTES and device != "cpu":
        busy = f"{text}; {used / 1e9:.0f} GB are in use"
        return Check("card", "warn", busy, "end the program that uses it: it takes speed and memory from trials")
    return Check("card", "ok", text)


def check_memory(device: str) -> Check:
    """Check the memory of the machine or container, and count the cores that this process may use."""
    size, cores = hardware.memory_bytes(), len(os.sched_getaffinity(0))
    text = f"{size / 1e9:.1f} GB, {cores} core{'s' if cores > 1 else ''}"
    if size < MEMORY_BYTES[device]:
        remedy = f"{MEMORY_BYTES[device] / 1e9:.0f} GB or more are better: trials may end with `oom`"
        return Check("memory", "warn", text, remedy)
    return Check("memory", "ok", text)


def check_cores(cores: Sequence[int] | None) -> Check:
    """Say how fast the cores of a slot are now, and how many other threads could run: both change scores."""
    found = core_meter.measure_idle_cores(cores, CORE_READINGS)
    if not found:
        return Check("cores", "ok", "their speed cannot be measured here: scores are compared as they are")
    others = found[core_meter.OTHERS]
    text = f"{found[core_meter.SPEED]:.1f} runs of the referee's kernel in a millisecond"
    text += f", {others:.1f} other threads could run"
    if others >= 1:
        text += ": trials take longer, and scores are compared at equal speed"
    return Check("cores", "ok", text)


def check_git() -> Check:
    """Check that git is installed. Its user.name is not needed: commits of a session have their own author."""
    path = shutil.which("git")
    if path is None:
        return Check("git", "blocker", "not installed", "`apt install git`, or the command of your system for it")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return Check("git", "ok", f"{done.stdout.strip().removeprefix('git version ')}; no user.name is needed")


def check_disks(root: Path) -> Iterator[Check]:
    """Check the free space for ledger and artefacts, and for data sets."""
    folders = {"runs": root / "runs"}
    try:
        folders["cache"] = cache_folder()
    except UserError as error:
        what, _, remedy = str(error).partition(": ")
        yield Check("cache folder", "blocker", what, remedy)
    for name, folder in folders.items():
        existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        elsewhere = "" if name == "runs" else ", or set AUTORESEARCH_CACHE to another folder"
        if not os.access(existing, os.W_OK):
            remedy = f"make {existing} writable for you{elsewhere}"
            yield Check(f"{name} folder", "blocker", f"{folder} cannot be written", remedy)
            continue
        free, (least, good) = shutil.disk_usage(existing).free, DISK_BYTES[name]
        level = "ok" if free > good else "warn" if free > least else "blocker"
        remedy = "" if level == "ok" else f"make room there{elsewhere}"
        yield Check(f"{name} folder", level, f"{folder}, {free / 1e9:.1f} GB free", remedy)
