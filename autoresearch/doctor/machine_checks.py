"""What the machine has: Python, torch, card, memory, git, room on its disks. torch itself is not imported."""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from autoresearch import hardware
from autoresearch.config import cache_folder
from autoresearch.doctor.check import Check
from autoresearch.setup import slots

PYTHONS = ((3, 11), (3, 14))  # the first that works, the first that was not tried
DISK = {"runs": (0.2e9, 2e9), "cache": (0.5e9, 5e9)}  # bytes: the least to work at all, and for a night
MEMORY = {"cpu": 3e9, "cuda": 16e9}  # bytes that two cells with torch and the data should have
BUSY_CARD = 1e9  # bytes in use on a card that nobody should be using
NVIDIA = Path("/proc/driver/nvidia/version")


def python() -> Check:
    """Python and the platform."""
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.platform != "linux":
        return Check("python", "blocker", text, "Linux is needed: WSL2, a container or a virtual machine will do")
    if not PYTHONS[0] <= sys.version_info < PYTHONS[1]:
        return Check("python", "warn", text, "3.11, 3.12 and 3.13 are tested")
    return Check("python", "ok", text)


def torch(device: str) -> Check:
    """torch: its version, and whether it can use the cards that are here and wanted."""
    version = hardware.version("torch")
    if version is None:
        return Check("torch", "blocker", "not installed", "`make run`, or `pip install -e .` in your clone")
    built = hardware.torch_cuda()
    text = f"{version}, {f'for CUDA {built}' if built else 'a CPU build'}"
    if device != "cpu" and hardware.gpus() and (found := slots.trouble()) is not None:
        return Check("torch", "blocker", f"{version}: {found[0]}", f"{found[1]}; or use --device cpu")
    return Check("torch", "ok", text)


def card(device: str) -> Iterator[Check]:
    """The NVIDIA card: its name, memory, driver, and whether it is free."""
    cards = hardware.gpus()
    if not cards:
        there = NVIDIA.exists() and device != "cpu"
        remedy = "start the container with the driver's libraries: `--gpus all`, or reinstall the driver"
        yield (
            Check("card", "warn", "there is one, but its driver does not answer", remedy)
            if there
            else Check("card", "ok", "no NVIDIA card")
        )
        return
    total, used = hardware.gpu_memory(cards[0]) or (0, 0)
    text = f"{hardware.gpu_name(cards[0])}, {total / 1e9:.0f} GB, driver {hardware.driver()} for CUDA {hardware.driver_cuda()}"
    if len(cards) > 1:
        text += f" (the first of {len(cards)}: one is used)"
    if used > BUSY_CARD and device != "cpu":
        yield Check(
            "card",
            "warn",
            f"{text}; {used / 1e9:.0f} GB are in use",
            "end what else uses it: it costs speed and memory",
        )
    else:
        yield Check("card", "ok", text)


def memory(device: str) -> Check:
    """Memory of the machine or the container, and the cores that this process may use."""
    size, cores = hardware.memory_bytes(), len(os.sched_getaffinity(0))
    text = f"{size / 1e9:.1f} GB, {cores} core{'s' if cores > 1 else ''}"
    if size < MEMORY[device]:
        return Check(
            "memory", "warn", text, f"{MEMORY[device] / 1e9:.0f} GB or more are better: trials may end with `oom`"
        )
    return Check("memory", "ok", text)


def git() -> Check:
    """git itself; commits carry an identity of their own."""
    path = shutil.which("git")
    if path is None:
        return Check("git", "blocker", "not installed", "`apt install git`, or what your system has for it")
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    return Check("git", "ok", f"{done.stdout.strip().removeprefix('git version ')}; no user.name is needed")


def disks(root: Path) -> Iterator[Check]:
    """Room for ledger and artefacts, and for data sets."""
    for name, folder in (("runs", root / "runs"), ("cache", cache_folder())):
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        elsewhere = "" if name == "runs" else ", or set AUTORESEARCH_CACHE to another folder"
        if not os.access(there, os.W_OK):
            yield Check(f"{name} folder", "blocker", f"{folder} cannot be written", f"make {there} yours{elsewhere}")
            continue
        free, (least, good) = shutil.disk_usage(there).free, DISK[name]
        level = "ok" if free > good else "warn" if free > least else "blocker"
        remedy = "" if level == "ok" else f"make room there{elsewhere}"
        yield Check(f"{name} folder", level, f"{folder}, {free / 1e9:.1f} GB free", remedy)
