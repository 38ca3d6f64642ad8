"""Libraries of a card's driver and its device files, for cells with a card."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

_LIBRARIES = ("libcuda*.so*", "libnv*.so*")
_DEVICES = ("nvidia*", "nvidia-caps/*", "nvidia-caps-imex-channels/*", "dri/*", "kfd", "dxg")
# often root's, and not needed to compute: all of NVIDIA's but /dev/nvidia-uvm, /dev/nvidiactl and the cards themselves
_OPTIONAL_DEVICE = re.compile(r"/dev/(dri/|nvidia-(?!uvm$))")
_UVM = Path("/dev/nvidia-uvm")
_CU_INIT = "import ctypes; raise SystemExit(ctypes.CDLL('libcuda.so.1').cuInit(0))"
WAKE_TIMEOUT_S = 60.0  # a machine with eight cards and without persistence mode takes some ten seconds


def driver_libraries() -> tuple[str, ...]:
    """Return the files of the driver's libraries, wherever the dynamic linker finds them."""
    folders = [*library_folders(os.environ), *_linker_folders(_linker_cache())]
    return find_libraries(tuple(dict.fromkeys(folders)))


def library_folders(environment: Mapping[str, str]) -> list[Path]:
    """Return the folders of libraries that the environment names."""
    names = environment.get("LD_LIBRARY_PATH", "").split(":")
    home = environment.get("CUDA_HOME", "")
    names += [f"{home}/lib64", f"{home}/lib"] if home else []
    return [Path(name) for name in names if name.startswith("/")]


@functools.lru_cache(maxsize=4)
def find_libraries(folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the real files of the driver's libraries in some folders: not the folders, which may hold anything."""
    found = [path.resolve() for folder in folders for pattern in _LIBRARIES for path in _glob(folder, pattern)]
    return tuple(sorted({str(path) for path in found if path.is_file()}))


def devices(folder: Path = Path("/dev")) -> list[str]:
    """Return the device files of cards; folders such as /dev/nvidia-caps are none."""
    found = (path for pattern in _DEVICES for path in _glob(folder, pattern))
    return [str(path) for path in found if not path.is_dir()]


def is_needed(device: str) -> bool:
    """Return whether a program cannot compute without this device file."""
    return _OPTIONAL_DEVICE.match(device) is None


@functools.cache
def wake_driver(uvm: Path = _UVM) -> None:
    """Initialise CUDA once outside of any cell, if the device file of its memory is not usable yet.

    After a boot the first cuInit makes it by nvidia-modprobe, a program with rights of root, which it cannot have in a
    cell. A failure is no error here: the program in the cell reports it.
    """
    with suppress(OSError):
        os.close(os.open(uvm, os.O_RDWR | os.O_CLOEXEC))
        return
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-I", "-S", "-c", _CU_INIT],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WAKE_TIMEOUT_S,
            check=False,
        )


@functools.cache
def _linker_cache() -> str:
    """Return what `ldconfig -p` lists; nothing where there is no ldconfig."""
    program = shutil.which("ldconfig", path=f"{os.environ.get('PATH', '')}:/sbin:/usr/sbin")
    with suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run([program or "ldconfig", "-p"], capture_output=True, timeout=10, check=False)
        return done.stdout.decode(errors="replace")
    return ""


def _linker_folders(listed: str) -> Iterator[Path]:
    for name, path in re.findall(r"^\s*(\S+) \(.*=> (/.*)$", listed, re.MULTILINE):
        if name.startswith(("libcuda.", "libnvidia-")):
            yield Path(path).parent


def _glob(folder: Path, pattern: str) -> Iterable[Path]:
    with suppress(OSError):  # a folder that may not be listed
        return sorted(folder.glob(pattern))
    return []
