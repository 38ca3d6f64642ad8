"""The cell: one untrusted process and all its children, fenced in, watched, and killed as a tree.

`Cell.start` executes the supervisor (supervisor.py), a small program of its own that applies the layers and
outlives whatever happens to us. Every layer is optional: it is tried, and what it came to is in
`Cell.layers`:

    landlock   ABI of the allow-list of files, 0 without      seccomp    whether system calls are filtered
    nnp        no_new_privs                                   caps       capabilities left
    ns         namespaces of its own                          uid        user of its own, or None
    shm        /dev/shm: private, denied or shared            readonly   all but `tmp` mounted read-only
    rlimits    memory, files, processes, core dumps           reaper     the supervisor's kill (always)

Covered: files that are not named cannot be read, nor anything be written but the private folder; no
network, sockets of others, foreign processes, privileges, kernel interfaces that are larger than needed;
nothing of ours in the environment or among the descriptors; nothing that outlives the cell: processes
(daemons and re-forks are frozen and killed within a second, also when this program is killed with -9),
files, shared memory, queues, keys, file locks, modes and times. Output goes to a capped log.

Not covered: a hole in the kernel or a driver. What one cell can tell another by the load it makes, the page
cache, or (without a mount namespace) access times of files; so cells that must not talk run one after the
other. Disk and memory beyond the limits per file and process: there is no quota on the private folder. The
number of processes where the cell has to stay root (Linux does not limit root), but under a CPU budget, which
allows one. If the supervisor itself is killed from outside, daemons of a cell without a process namespace
stay. With `library`, copies of it inside site-packages. On a GPU, what the driver shares between processes.
"""

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from autoresearch.sandbox import compile_cache, grade, kernel, visible_paths
from autoresearch.sandbox.output_log import LogFile

START_TIMEOUT = 30.0  # s, for a supervisor to say that the layers are applied
FAREWELL = 5.0  # s, for a program that has said its last word to end
DEATH_TIMEOUT = 15.0  # s, for a tree to die; processes stuck in a driver take longest
PACKAGE_ROOT = Path(__file__).resolve().parents[2]
BOOT = """
import sys
sys.path.append(sys.argv[1])
from autoresearch.sandbox.supervisor import main
main(sys.argv[2:])
"""
PATH = "/usr/local/cuda/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
GPU_ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "CUDA_HOME")


class CellError(Exception):
    """A cell could not be started, or could not be killed: the machine is at fault, not what ran in it."""


@dataclass(frozen=True)
class CellSpec:
    """What to run in a cell, and what it may see.

    `fds` maps descriptors in the cell (>= 3) to descriptors here. `read` are files or trees that it may read
    besides the system and Python. `library` None means all of Python's standard library; otherwise only these
    of its files, relative to its folder, and no other Python's copy. `memory` is in bytes. `files` lie in the
    private folder from the start, by their paths in it. `nice` (0 to 19) is how far it stands back for others
    on the CPU. `caches` is a kept compile cache to start from. `off` names layers not to apply, for tests.
    """

    program: Sequence[str]
    fds: Mapping[int, int] = field(default_factory=dict)
    read: Sequence[Path] = ()
    library: Sequence[Path | str] | None = None
    threads_only: bool = False
    gpu: bool = False
    network: bool = False
    memory: int | None = None
    cores: Sequence[int] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    log_limit: int = 1 << 20
    files: Mapping[str, bytes] = field(default_factory=dict)
    nice: int = 0
    caches: Path | None = None
    off: frozenset[str] = frozenset()


class Cell:
    """A running cell; leaving the `with` block kills it. Safe to use from several threads.

    `pid` is the untrusted process as seen from here, `layers` what was applied, `weaknesses` what is not
    protected and how to get it, `tmp` its private folder.
    """

    def __init__(self, spec: CellSpec) -> None:
        self.tmp = Path(tempfile.mkdtemp(prefix="cell-"))
        self.pid = 0
        self.layers: dict[str, Any] = {}
        self.grade = "WEAK"
        self.weaknesses: list[str] = []
        self._status: int | None = None
        self._gone = False  # nothing of the cell is alive any more
        self._seconds: float | None = None
        self._lock = threading.RLock()
        self._log = LogFile(spec.log_limit)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if spec.caches is not None:
            compile_cache.lend(spec.caches, self.tmp)
        for name, content in spec.files.items():
            (self.tmp / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tmp / name).write_bytes(content)
        with theirs:
            self._supervisor = _execute(spec, self.tmp, theirs.fileno(), self._log.fd)

    @classmethod
    def start(cls, spec: CellSpec) -> "Cell":
        """Start a cell; returns once the layers are applied and the program executes. Raises CellError."""
        try:
            cell = cls(spec)
        except OSError as error:
            raise CellError(f"the sandbox could not be started: {error}") from error
        message = cell._receive(START_TIMEOUT)
        if message is None or "started" not in message:
            cell.kill()
            reason = (message or {}).get("error") or cell.log().strip() or "its supervisor does not answer"
            raise CellError(f"the sandbox could not be started: {reason}")
        cell.pid, cell.layers = message["started"], message["layers"]
        cell.weaknesses = grade.weaknesses(cell.layers, library_restricted=spec.library is not None)
        cell.grade = "WEAK" if cell.weaknesses else "STRONG"
        return cell

    def is_running(self) -> bool:
        """Whether the untrusted main process is alive."""
        return self.exit_status() is None

    def exit_status(self) -> int | None:
        """How the main process ended: its exit status, or minus the signal; None while it runs."""
        with self._lock:
            if self._status is None:
                self._receive(0)
            return self._status

    def log(self) -> str:
        """What the cell wrote to stdout and stderr: beginning and end of it, without control characters."""
        return self._log.text()

    def keep_caches(self, store: Path) -> None:
        """Store what the cell compiled, if it has ended by itself within a few seconds."""
        deadline = time.monotonic() + FAREWELL
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self.is_running():
            compile_cache.keep(self.tmp, store)

    def kill(self) -> float:
        """Kill everything in the cell and remove its folder; returns the seconds until all of it was dead.

        A second call does nothing. Raises CellError if something cannot be killed.
        """
        with self._lock:
            if self._seconds is None:
                self._seconds = self._kill()
            return self._seconds

    def __enter__(self) -> "Cell":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _kill(self) -> float:
        started = time.monotonic()
        with contextlib.suppress(OSError):  # the supervisor may have gone
            self._control.shutdown(socket.SHUT_WR)
        while not self._gone and time.monotonic() - started < DEATH_TIMEOUT:
            self._receive(0.5)
        seconds = time.monotonic() - started
        self._until_hung_up()
        self._control.close()
        try:
            self._supervisor.wait(DEATH_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()  # and with it, by their parent-death signal, what it started
            raise CellError(f"a cell did not die within {DEATH_TIMEOUT:.0f} s") from None
        finally:
            self._log.close()
        shutil.rmtree(self.tmp, ignore_errors=True)  # only if the supervisor was killed before it could
        return seconds

    def _until_hung_up(self) -> None:
        """Wait until the supervisor ends (Popen.wait with a timeout alone polls, ever more rarely)."""
        self._control.settimeout(DEATH_TIMEOUT)
        with contextlib.suppress(OSError):
            while self._control.recv(1 << 16):
                pass

    def _receive(self, timeout: float) -> dict[str, Any] | None:
        """The supervisor's next message, if one comes within `timeout` seconds, or {} if it has died."""
        if self._gone:
            return None
        self._control.settimeout(timeout)
        try:
            data = self._control.recv(1 << 16)
        except (TimeoutError, BlockingIOError):
            return None
        except OSError:
            data = b""
        message: dict[str, Any] = json.loads(data) if data else {}
        if not data or "ended" in message:
            self._gone = True
            self._status = message.get("ended", -9)
        return message


def protect_self() -> None:
    """Close this process's memory, environment and descriptors to others of the same user (no core dumps)."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def reopen(fd: int) -> int:
    """A descriptor of its own for the file of `fd`: cells that shared one would share its offset too."""
    return os.open(f"/proc/self/fd/{fd}", fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE | os.O_CLOEXEC)


def _execute(spec: CellSpec, tmp: Path, control: int, log: int) -> subprocess.Popen[bytes]:
    order = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        os.write(order, json.dumps(_order(spec, tmp)).encode())
        numbers = (control, order, log)
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


def _order(spec: CellSpec, tmp: Path) -> dict[str, Any]:
    """What the supervisor has to know, as plain JSON."""
    seen = visible_paths.view(spec.read, spec.library, spec.gpu, spec.network)
    programs = [str(path) for path in map(Path, spec.program) if path.is_absolute() and path.exists()]
    limits = [int(name.removeprefix("landlock>")) for name in spec.off if name.startswith("landlock>")]
    return {
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
        "view": seen,
        "must_reach": [*visible_paths.python_paths(), *programs, *map(str, spec.read), str(tmp.parent)],
        "landlock_limit": min(limits, default=99),
        "threads_only": spec.threads_only,
        "network": spec.network,
    }


def _environment(spec: CellSpec, tmp: Path) -> dict[str, str]:
    """The whole environment of the cell: nothing of ours but, for a GPU, how to find it."""
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
