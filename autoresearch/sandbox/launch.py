"""What a cell runs, with which rights, and the start of its supervisor."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.sandbox import card_files, compile_cache, visible_paths

if TYPE_CHECKING:
    from autoresearch.sandbox.layers import Order

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
BOOT = """
import sys
sys.path.append(sys.argv[1])
from autoresearch.sandbox.supervisor import main
main(sys.argv[2:])
"""
PATH = "/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GPU_ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "CUDA_HOME")


@dataclass(frozen=True)
class CellSpec:
    """Program of a cell and its rights.

    `fds` maps descriptors in the cell (>= 3) to descriptors here. `read` are files or trees that it may read besides
    the system and Python. `library` None means all of Python's standard library; otherwise only these of its files,
    relative to its folder, and no copy in another Python. With `network` it may connect to the TCP ports `doors` on
    loopback, and to nothing else (see doors.py). With `executes` it may make programs of its own files, where all
    others are mounted read-only. `memory` is in bytes. `files` are put into the private folder, by their paths in it.
    `nice` (0 to 19) lowers its CPU priority. `caches` is a kept compile cache to copy. `off` names layers not to apply,
    for tests.
    """

    program: Sequence[str]
    fds: Mapping[int, int] = field(default_factory=dict)
    read: Sequence[Path] = ()
    library: Sequence[Path | str] | None = None
    threads_only: bool = False
    executes: bool = False
    gpu: bool = False
    network: bool = False
    doors: Sequence[int] = ()
    memory: int | None = None
    cores: Sequence[int] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    log_limit: int = 1 << 20
    files: Mapping[str, bytes] = field(default_factory=dict)
    nice: int = 0
    caches: Path | None = None
    off: frozenset[str] = frozenset()


def execute(spec: CellSpec, tmp: Path, control: int, log: int) -> subprocess.Popen[bytes]:
    """Execute the supervisor of a cell, with the private folder `tmp` and descriptors of its channel and its log."""
    order = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        os.write(order, json.dumps(_make_order(spec, tmp)).encode())
        numbers = (control, order, log)
        with _interrupts_blocked():
            return subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", BOOT, str(PACKAGE_ROOT), *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": PATH, "LC_ALL": "C.UTF-8"},
                pass_fds=(*numbers, *spec.fds.values()),
                start_new_session=True,
            )
    finally:
        os.close(order)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Block Ctrl-C, also in processes that are started: until one has a session of its own, it would end it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _make_order(spec: CellSpec, tmp: Path) -> "Order":
    """Return everything that the supervisor needs to know."""
    programs = [str(path) for path in map(Path, spec.program) if path.is_absolute() and path.exists()]
    driver = card_files.driver_libraries() if spec.gpu else ()
    limits = [int(name.removeprefix("landlock>")) for name in spec.off if name.startswith("landlock>")]
    view = visible_paths.view(spec.read, spec.library, spec.gpu, spec.network)
    return {
        **view,
        "owner": os.getpid(),
        "program": list(map(str, spec.program)),
        "fds": {str(inside): here for inside, here in spec.fds.items()},
        "tmp": str(tmp),
        "environment": _environment(spec, tmp),
        "memory": spec.memory,
        "cores": None if spec.cores is None else list(spec.cores),
        "log_limit": spec.log_limit,
        "nice": spec.nice,
        "off": sorted(spec.off),
        "must_reach": [*visible_paths.python_paths(), *programs, *driver, *map(str, spec.read), str(tmp.parent)],
        "must_use": list(filter(card_files.is_needed, view["devices"])),
        "landlock_limit": min(limits, default=99),
        "threads_only": spec.threads_only,
        "executes": spec.executes,
        "network": spec.network,
        "gpu": spec.gpu,
        "doors": list(spec.doors),
        "control": -1,
        "protect": [],
        "namespaces": [],
        "uid": None,
    }


def _environment(spec: CellSpec, tmp: Path) -> dict[str, str]:
    """Return the whole environment of the cell; of ours only the variables that locate a GPU."""
    kept = {name: os.environ[name] for name in GPU_ENVIRONMENT if spec.gpu and name in os.environ}
    folders = {
        "HOME": "",
        "TMPDIR": "",
        "TRITON_HOME": "",
        "XDG_CACHE_HOME": "cache",
        "TORCH_EXTENSIONS_DIR": "extensions",
        **compile_cache.FOLDERS,
    }
    return {
        "PATH": f"{Path(sys.executable).parent}:{PATH}",
        **{name: str(tmp / folder) for name, folder in folders.items()},
        "LANG": "C.UTF-8",
        "USER": "cell",
        "LOGNAME": "cell",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "CUDA_MODULE_LOADING": "LAZY",
        "PYTORCH_ALLOC_CONF": "expandable_segments:True",
        **kept,
        **spec.environment,
    }
