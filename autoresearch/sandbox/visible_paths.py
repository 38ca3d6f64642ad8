"""Paths that a cell may read: programs and libraries of the system, Python, and what the caller adds.

If the validation text comes from Python's own library, the files of that library are allowed one by one, and copies of
it in other Pythons not at all. Landlock cannot exclude a folder from an allowed tree: the trees around them are then
allowed child by child, without any child that may hold a Python. Lines of it in other packages stay readable, so such a
data set is WEAK.
"""

import functools
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.sandbox import card_files

if TYPE_CHECKING:
    from autoresearch.sandbox.layers import View

_SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/opt/nvidia", "/nix/store", "/run/opengl-driver")
_ETC = (
    *("alternatives", "group", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types"),
    *("nsswitch.conf", "passwd", "nvidia", "OpenCL", "vulkan"),
)
_ETC_NETWORK = ("hosts", "resolv.conf", "ssl", "pki", "ca-certificates", "services", "protocols", "host.conf")
_DEVICES = ("null", "zero", "full", "random", "urandom")
_PROC = (  # of the machine; a process sees itself as well (landlock.py)
    *("cpuinfo", "meminfo", "version", "filesystems", "devices", "sys/kernel/osrelease"),
    *("sys/kernel/random", "sys/kernel/ngroups_max", "sys/kernel/cap_last_cap", "sys/kernel/pid_max"),
    *("sys/vm/overcommit_memory", "sys/vm/max_map_count", "sys/vm/mmap_min_addr"),
)
_SYS = (  # without the counters of idle cores, of clock rates and of each node's memory
    *("kernel/mm/transparent_hugepage", "devices/system/node/node*/cpu[lm]*", "devices/system/node/node*/distance"),
    *(f"devices/system/{kind}/{name}" for kind in ("cpu", "node") for name in ("online", "possible", "has_*")),
    *("devices/system/cpu/present", "devices/system/cpu/kernel_max", "devices/system/cpu/isolated"),
    *("devices/system/cpu/cpu*/topology", "devices/system/cpu/cpu*/cache", "devices/system/cpu/cpu*/online"),
    *(f"devices/system/cpu/cpu*/cpufreq/cpuinfo_{end}_freq" for end in ("min", "max")),
)
_SYS_LISTED = ("devices/system/cpu", "devices/system/node")
_PROC_GPU = ("driver", "modules")
_SYS_GPU = ("devices", "bus", "class", "module", "dev")

_PREFIXES = ("/", "/usr", "/usr/local", "/opt/nvidia")
_TREES = ("bin", "sbin", "include", "nvvm", "targets", "pyvenv.cfg", "*-linux-gnu")
_SHARED = ("zoneinfo", "locale", "i18n", "terminfo", "nvidia", "glvnd", "vulkan")
_WITHOUT_PYTHON = ("gcc", "wsl", "x86_64-linux-gnu", "aarch64-linux-gnu")  # large
_MAX_FOLDERS = 300  # a tree with more folders counts as one that may hold a Python


def view(read: Sequence[Path], library: Sequence[Path | str] | None, gpu: bool, network: bool) -> "View":
    """Return the paths that a cell may read, list, or use as devices."""
    if library is None:
        readable = [*_SYSTEM, *map(str, [*_python_prefixes(), *_packages(), _library()])]
        listable: list[str] = []
    else:
        readable, listable = _without_library(tuple(map(str, library)))
    etc = [*_ETC, *(_ETC_NETWORK if network else ())]
    if gpu:
        card_files.wake_driver()  # before its device files are listed
        readable = [*readable, *card_files.driver_libraries()]
    gpus = card_files.devices() if gpu else []
    return {
        "readable": [*readable, *_kernel_files(gpu, network), *(f"/etc/{name}" for name in etc), *map(str, read)],
        "listable": [*listable, *(f"/sys/{name}" for name in _SYS_LISTED)],
        "devices": [*(f"/dev/{name}" for name in _DEVICES), *gpus],
    }


def _kernel_files(gpu: bool, network: bool) -> list[str]:
    """Return what a cell may read of /proc and /sys: counters of the kernel would tell it what other cells did."""
    if network:  # a coding agent and its tools
        return ["/proc", "/sys"]
    proc, system = [*_PROC, *(_PROC_GPU if gpu else ())], [*_SYS, *(_SYS_GPU if gpu else ())]
    return [*(f"/proc/{name}" for name in proc), *(path for name in system for path in _existing(f"/sys/{name}"))]


@functools.cache
def _existing(pattern: str) -> list[str]:
    return sorted(map(str, Path("/").glob(pattern.lstrip("/"))))


def python_paths() -> list[str]:
    """Return the paths that a user must be able to read to run this Python."""
    programs = [sys.executable, str(Path(sys.executable).resolve())]
    return [*programs, str(_library() / "os.py"), *map(str, _packages())]


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib")).resolve()


def _python_prefixes() -> set[Path]:
    return {Path(prefix).resolve() for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix)}


def _packages() -> list[Path]:
    """Return the folders of installed packages."""
    paths = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *sys.path]
    folders = {Path(path).resolve() for path in paths if path.endswith("-packages")}
    return sorted(folder for folder in folders if folder.is_dir())


@functools.lru_cache(maxsize=4)
def _without_library(allowed: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Return readable and listable paths, with only the `allowed` files of the library."""
    library = _library()
    prefixes = {Path(prefix).resolve() for prefix in _PREFIXES} | _python_prefixes()
    prefixes |= {path.resolve() for path in Path("/usr/local").glob("cuda*")}
    readable = [path for prefix in sorted(prefixes) for path in _children_without_python(prefix)]
    for name in allowed:
        file = library / name
        readable += [file, Path(importlib.util.cache_from_source(str(file)))]
    readable += [library / "lib-dynload", *_packages()]
    return list(map(str, readable)), [str(library)]


def _children_without_python(prefix: Path) -> Iterator[Path]:
    """Yield what programs need of a folder like /usr, without any Python's library."""
    for pattern in _TREES:
        yield from prefix.glob(pattern)
    for name in _SHARED:
        yield prefix / "share" / name
    for folder in prefix.glob("lib*"):
        if folder.is_dir() and not folder.is_symlink():
            yield from (Path(entry) for entry in os.scandir(folder) if _is_harmless(entry))


def _is_harmless(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink() or not entry.is_dir():
        return not entry.is_symlink()
    if entry.name in _WITHOUT_PYTHON:
        return True
    return not any(name in entry.name for name in ("python", "pypy")) and not _may_hold_python(entry.path)


def _may_hold_python(folder: str) -> bool:
    """Return whether a folder holds a Python's library, or is too large to search."""
    for count, (_, _, files) in enumerate(os.walk(folder)):
        if count == _MAX_FOLDERS or "os.py" in files or any(name.endswith(".zip") for name in files):
            return True
    return False
