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
not communicate run one after the other. Memory beyond the limit per process. The private folder has no quota: a cell
that leaves less than a tenth of the free disk space is killed. The number of processes if the cell stays root (Linux
does not limit root), except under a CPU budget, which allows one. Daemons of a cell without a process namespace, if the
supervisor itself is killed from outside. With `library`, copies of it inside site-packages. On a GPU, what the driver
shares between processes.
"""

import contextlib
import errno
import fcntl
import json
import math
import os
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoresearch.files import JsonObject
from autoresearch.sandbox import cleanup, compile_cache, cpu_time, doors, grade, kernel
from autoresearch.sandbox.launch import CellSpec, execute
from autoresearch.sandbox.output_log import LogFile

START_TIMEOUT_S = 30.0  # for a supervisor to report that the layers are applied
ANSWER_TIMEOUT_S = 120.0  # for a supervisor to answer a request; it may have to read gigabytes of libraries
DEATH_TIMEOUT_S = 15.0  # for a tree to die; processes stuck in a driver take longest
CLEANING_TIMEOUT_S = 120.0  # for the folders of dead cells to be removed where they fill the disk
CLEANING_WAIT_S = 1.0  # for the folder of a dead cell to be removed; a larger one is removed in the background


class CellError(Exception):
    """A cell could not be started or killed: a fault of the machine, not of the program in the cell."""


class CellLost(CellError):
    """A cell that has run does not answer or die: a fault of the machine, or work of the program in the cell."""


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
        self._refused: list[str] = []  # as its supervisor said at the end
        self.has_filled_disk = False  # and was killed for it
        self.seconds = 0.0  # from the first instruction of its program to the end of it, likewise
        self._is_dead = False  # with all its processes
        self._kill_seconds: float | None = None
        self._lock = threading.RLock()
        self._log = LogFile(spec.log_limit)
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            with theirs:
                self._supervisor = self._execute(spec, theirs.fileno())
        except OSError:
            self._control.close()
            self._log.close()
            os.close(self._hold)
            raise

    def _execute(self, spec: CellSpec, control: int) -> "subprocess.Popen[bytes]":
        """Fill the private folder and execute the supervisor."""
        if spec.caches is not None:
            compile_cache.copy_into(self.tmp, spec.caches)
        for name, content in spec.files.items():
            (self.tmp / name).parent.mkdir(parents=True, exist_ok=True)
            (self.tmp / name).write_bytes(content)
        return execute(spec, self.tmp, control, self._log.fd)

    @classmethod
    def start(cls, spec: CellSpec) -> "Cell":
        """Start a cell; return when the layers are applied and the program executes. Raises CellError."""
        try:
            cell = cls._create(spec)
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

    @classmethod
    def _create(cls, spec: CellSpec) -> "Cell":
        """Return a new cell; on a full disk wait until the folders of ended cells are removed. Raises OSError."""
        try:
            return cls(spec)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not _wait_for_cleaning():
                raise
        return cls(spec)

    def is_running(self) -> bool:
        return self.exit_status() is None

    def exit_status(self) -> int | None:
        """Return the exit status of the main process, or minus its signal; None while it runs."""
        with self._lock:
            if self._status is None:
                self._receive(0)
            return self._status

    def cpu_seconds(self) -> float:
        """Return the CPU time of all processes of the cell until now; 0 when it is dead."""
        return cpu_time.seconds_below(self._supervisor.pid)

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
        ended = not answer and not self.is_running()
        refused = self._refused if ended else answer.get("refused", [])
        return Inspected(refused, answer.get("faults"), answer.get("alone", True))

    def add_caches(self, store: Path) -> None:
        """Copy a compile cache into the private folder, before the program there does anything of its own."""
        with contextlib.suppress(OSError):  # without it, the cell compiles anew
            compile_cache.copy_into(self.tmp, store, self.layers["uid"])

    def copy_caches(self, store: Path) -> str | None:
        """Store what the cell has compiled until now; return why not if nothing is stored."""
        return compile_cache.keep(self.tmp, store)

    def keep_caches(self, store: Path) -> str | None:
        """Kill the program and store what it compiled; return why not if nothing is stored. Raises CellLost."""
        self._ask("end")
        return self.copy_caches(store)

    def kill(self) -> float:
        """Kill everything in the cell, and return the seconds until all was dead.

        The folder is gone from its place then; a supervisor may still be at work to empty it. A second call does
        nothing. Raises CellLost if something cannot be killed.
        """
        with self._lock:
            if self._kill_seconds is None:
                self._kill_seconds = math.inf  # a second call does nothing, also if this one fails
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
            data = self._read()
        except (TimeoutError, BlockingIOError):
            return None
        except OSError:
            data = b""
        message: JsonObject = json.loads(data) if data else {}
        if not data or "ended" in message:
            self._is_dead = True
            self._status, self._refused = message.get("ended", -9), message.get("refused", [])
            self.seconds, self.has_filled_disk = message.get("seconds", 0.0), message.get("full", False)
        return message

    def _read(self) -> bytes:
        """Return one message, or b"" after the last one. Raises OSError."""
        with contextlib.suppress(ConnectionResetError):  # it ended with a request unread: its messages follow the error
            return self._read_now()
        return self._read_now()

    def _read_now(self) -> bytes:
        data, fds, _, _ = socket.recv_fds(self._control, 1 << 16, doors.MAX_SOCKETS, socket.MSG_CMSG_CLOEXEC)
        self.doors += [socket.socket(fileno=fd) for fd in fds]
        return data


_CLEANING: list[subprocess.Popen[bytes]] = []  # supervisors of dead cells


def _reap() -> None:
    """Collect the supervisors that have ended."""
    _CLEANING[:] = [supervisor for supervisor in _CLEANING if supervisor.poll() is None]


def _wait_for_cleaning() -> bool:
    """Wait until the folders of dead cells are removed; return whether there was one."""
    _reap()
    there_was_one, deadline = bool(_CLEANING), time.monotonic() + CLEANING_TIMEOUT_S
    for supervisor in list(_CLEANING):
        with contextlib.suppress(subprocess.TimeoutExpired):
            supervisor.wait(max(0.0, deadline - time.monotonic()))
    return there_was_one


def protect_self() -> None:
    """Hide this process's memory, environment and descriptors from others of the same user (no core dumps)."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def reopen(fd: int) -> int:
    """Return a new descriptor for the file of `fd`: cells that shared one would share its offset too."""
    return os.open(f"/proc/self/fd/{fd}", fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE | os.O_CLOEXEC)
