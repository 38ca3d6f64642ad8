"""Cell: one untrusted process and all its children, isolated, watched, and killed as a tree.

`Cell.start` executes the supervisor (supervisor.py), a small program that applies the layers and survives the death of
this one. Every layer is optional: it is tried, and its state is in `Cell.layers`:

    landlock   ABI of the allow-list of files, 0 without      seccomp    whether system calls are filtered
    nnp        no_new_privs                                   caps       capabilities left
    ns         separate namespaces                            uid        separate user, or None
    network    none, doors (TCP to named ports), open
    shm        /dev/shm: private, denied or shared            readonly   all but `tmp` mounted read-only
    rlimits    memory, files, processes, core dumps           reaper     the supervisor's kill (always)

Covered: the attacks in docs/honest-score.md. Nothing outlives a cell: no processes (frozen and killed within a second,
also if this program is killed with -9), files, shared memory, queues, keys, file locks, modes or times.

Not covered: a hole in the kernel or a driver. Signals from one cell to another by load, by counters of the kernel, and
(before `only_compute`) by its caches or, without a mount namespace, by access times of files; therefore cells that must
not communicate run one after the other. Disk and memory beyond the limits per file and process: the private folder has
no quota. The number of processes if the cell stays root (Linux does not limit root), except under a CPU budget, which
allows one. Daemons of a cell without a process namespace, if the supervisor itself is killed from outside. With
`library`, copies of it inside site-packages. On a GPU, what the driver shares between processes.
"""

import contextlib
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from autoresearch.files import JsonObject
from autoresearch.sandbox import cleanup, compile_cache, doors, grade, kernel, visible_paths
from autoresearch.sandbox.output_log import LogFile

if TYPE_CHECKING:
    from autoresearch.sandbox.layers import Order

START_TIMEOUT_S = 30.0  # for a supervisor to report that the layers are applied
ANSWER_TIMEOUT_S = 120.0  # for a supervisor to answer a request; it may have to read gigabytes of libraries
EXIT_TIMEOUT_S = 5.0  # for a program to exit after its last message
DEATH_TIMEOUT_S = 15.0  # for a tree to die; processes stuck in a driver take longest
CLEANING_WAIT_S = 1.0  # for the folder of a dead cell to be removed; a larger one is removed in the background
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
    """A cell could not be started or killed: a fault of the machine, not of the program in the cell."""


class CellLost(CellError):
    """A cell that has run does not answer or die: a fault of the machine, or work of the program in the cell."""


@dataclass(frozen=True)
class CellSpec:
    """Program of a cell and its rights.

    `fds` maps descriptors in the cell (>= 3) to descriptors here. `read` are files or trees that it may read besides
    the system and Python. `library` None means all of Python's standard library; otherwise only these of its files,
    relative to its folder, and no copy in another Python. With `network` it may connect to the TCP ports `doors` on
    loopback, and to nothing else (see doors.py). `memory` is in bytes. `files` are put into the private folder, by
    their paths in it. `nice` (0 to 19) lowers its CPU priority. `caches` is a kept compile cache to copy. `off` names
    layers not to apply, for tests.
    """

    program: Sequence[str]
    fds: Mapping[int, int] = field(default_factory=dict)
    read: Sequence[Path] = ()
    library: Sequence[Path | str] | None = None
    threads_only: bool = False
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


@dataclass(frozen=True)
class Inspected:
    """What happened in a cell since it may only compute.

    `refused` are the names of the calls that were refused, `faults` how often the program waited for a page from disk
    (None if it has ended), and `alone` whether no other process of the cell ran.
    """

    refused: list[str]
    faults: int | None
    alone: bool


class Cell:
    """Running cell; killed at the end of the `with` block. Safe to use from several threads.

    `pid` is that of the untrusted process outside the cell, `layers` the state of the layers, `weaknesses` what is not
    protected, with remedies, and `tmp` the private folder. `doors` are the listening sockets of the spec's doors if the
    cell has a network of its own: the caller accepts there.
    """

    def __init__(self, spec: CellSpec) -> None:
        self.tmp = Path(tempfile.mkdtemp(prefix=cleanup.CELL_PREFIX))
        self._hold = cleanup.hold(str(self.tmp))
        self.pid = 0
        self.layers: JsonObject = {}
        self.grade = "WEAK"
        self.weaknesses: list[str] = []
        self.doors: list[socket.socket] = []
        self._status: int | None = None
        self._is_dead = False  # with all its processes
        self._kill_seconds: float | None = None
        self._lock = threading.RLock()
        self._log = LogFile(spec.log_limit)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if spec.caches is not None:
            compile_cache.copy_into(self.tmp, spec.caches)
        for name, content in spec.files.items():
            (self.tmp / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tmp / name).write_bytes(content)
        with theirs:
            self._supervisor = _execute(spec, self.tmp, theirs.fileno(), self._log.fd)

    @classmethod
    def start(cls, spec: CellSpec) -> "Cell":
        """Start a cell; return when the layers are applied and the program executes. Raises CellError."""
        try:
            cell = cls(spec)
        except OSError as error:
            raise CellError(f"the sandbox could not be started: {error}") from error
        message = cell._receive(START_TIMEOUT_S)
        if message is not None and "doors" in message:
            message = cell._receive(START_TIMEOUT_S)
        if message is None or "started" not in message:
            cell.kill()
            reason = (message or {}).get("error") or cell.log().strip() or "its supervisor does not answer"
            raise CellError(f"the sandbox could not be started: {reason}")
        cell.pid, cell.layers = message["started"], message["layers"]
        cell.weaknesses = grade.weaknesses(cell.layers, library_restricted=spec.library is not None)
        cell.grade = "WEAK" if cell.weaknesses else "STRONG"
        return cell

    def is_running(self) -> bool:
        return self.exit_status() is None

    def exit_status(self) -> int | None:
        """Return the exit status of the main process, or minus its signal; None while it runs."""
        with self._lock:
            if self._status is None:
                self._receive(0)
            return self._status

    def log(self) -> str:
        """Return stdout and stderr of the cell: beginning and end, without control characters."""
        return self._log.text()

    def listen(self, listener: int) -> None:
        """Let the supervisor decide on the calls that a second filter reports (compute_only.py). Raises CellLost."""
        self._ask("listen", [listener])

    def only_compute(self) -> None:
        """From now on refuse all that is not computing; stop all processes but the first. Raises CellLost."""
        self._ask("only_compute")

    def inspect(self) -> Inspected:
        """Stop the cell; return what its program did since `only_compute`. Raises CellLost."""
        answer = self._ask("inspect")
        return Inspected(answer.get("refused", []), answer.get("faults"), answer.get("alone", True))

    def keep_caches(self, store: Path) -> None:
        """Store what the cell compiled, if it exits by itself within a few seconds."""
        deadline = time.monotonic() + EXIT_TIMEOUT_S
        while self.is_running() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not self.is_running():
            compile_cache.keep(self.tmp, store)

    def kill(self) -> float:
        """Kill everything in the cell, and return the seconds until all was dead.

        The folder is gone from its place then; a supervisor may still be at work to empty it. A second call does
        nothing. Raises CellLost if something cannot be killed.
        """
        with self._lock:
            if self._kill_seconds is None:
                self._kill_seconds = self._kill()
            return self._kill_seconds

    def __enter__(self) -> "Cell":
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _kill(self) -> float:
        started = time.monotonic()
        with contextlib.suppress(OSError):  # the supervisor may be dead
            self._control.shutdown(socket.SHUT_WR)
        while not self._is_dead and time.monotonic() - started < DEATH_TIMEOUT_S:
            self._receive(0.5)
        seconds = time.monotonic() - started
        for door in self.doors:
            with contextlib.suppress(OSError):  # wakes a thread that accepts
                door.shutdown(socket.SHUT_RDWR)
            door.close()
        self._wait_for_hang_up()
        self._control.close()
        self._log.close()
        if not self._is_dead:
            self._supervisor.kill()  # its children follow by their parent-death signal
        _CLEANING.append(self._supervisor)
        _reap()
        cleanup.set_aside(str(self.tmp))  # only if the supervisor was killed before it could
        os.close(self._hold)
        if not self._is_dead:
            raise CellLost(f"a cell did not die within {DEATH_TIMEOUT_S:.0f} s")
        return seconds

    def _ask(self, request: str, fds: Sequence[int] = ()) -> JsonObject:
        """Send a request to the supervisor; return its answer, empty if the cell has ended. Raises CellLost."""
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps({"ask": request}).encode()], list(fds))
            except OSError:  # it has ended
                return {}
            deadline = time.monotonic() + ANSWER_TIMEOUT_S
            while not self._is_dead and time.monotonic() < deadline:
                message = self._receive(1.0)
                if message is not None and request in message:
                    return dict(message[request])
        if not self._is_dead:
            raise CellLost("the supervisor of a cell does not answer")
        return {}

    def _wait_for_hang_up(self) -> None:
        """Wait until the supervisor ends, or has a large folder to remove."""
        self._control.settimeout(CLEANING_WAIT_S)
        with contextlib.suppress(OSError):
            while self._control.recv(1 << 16):
                pass

    def _receive(self, timeout: float) -> JsonObject | None:
        """Return the supervisor's next message; None on a timeout (seconds), {} if it is dead."""
        if self._is_dead:
            return None
        self._control.settimeout(timeout)
        try:
            data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, doors.MAX_SOCKETS, socket.MSG_CMSG_CLOEXEC)
            self.doors += [socket.socket(fileno=fd) for fd in fds]
        except (TimeoutError, BlockingIOError):
            return None
        except OSError:
            data = b""
        message: JsonObject = json.loads(data) if data else {}
        if not data or "ended" in message:
            self._is_dead = True
            self._status = message.get("ended", -9)
        return message


_CLEANING: list[subprocess.Popen[bytes]] = []  # supervisors of dead cells


def _reap() -> None:
    """Collect the supervisors that have ended."""
    _CLEANING[:] = [supervisor for supervisor in _CLEANING if supervisor.poll() is None]


def protect_self() -> None:
    """Hide this process's memory, environment and descriptors from others of the same user (no core dumps)."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def reopen(fd: int) -> int:
    """Return a new descriptor for the file of `fd`: cells that shared one would share its offset too."""
    return os.open(f"/proc/self/fd/{fd}", fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE | os.O_CLOEXEC)


def _execute(spec: CellSpec, tmp: Path, control: int, log: int) -> subprocess.Popen[bytes]:
    order = os.memfd_create("order", os.MFD_CLOEXEC)
    try:
        os.write(order, json.dumps(_make_order(spec, tmp)).encode())
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


def _make_order(spec: CellSpec, tmp: Path) -> "Order":
    """Return everything that the supervisor needs to know."""
    programs = [str(path) for path in map(Path, spec.program) if path.is_absolute() and path.exists()]
    limits = [int(name.removeprefix("landlock>")) for name in spec.off if name.startswith("landlock>")]
    return {
        **visible_paths.view(spec.read, spec.library, spec.gpu, spec.network),
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
        "must_reach": [*visible_paths.python_paths(), *programs, *map(str, spec.read), str(tmp.parent)],
        "landlock_limit": min(limits, default=99),
        "threads_only": spec.threads_only,
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
