"""Supervisor's side of the second filter (compute_only.py): decide on the calls that it reports.

Before the text arrives, every call goes on. Afterwards a call is refused, except to read and write what stays inside
the cell (pipes, sockets) and to map the memory of a card. Closing is then pretended, so that the meaning of a
descriptor cannot change between the decision and the call.

A cell with a card may give names to sockets (seccomp.py). Cells in one network namespace see which abstract names are
taken, so a name that becomes free after the text arrived could tell of it. There the supervisor makes the socket, with
a name that the kernel chooses, and keeps it to the end of the cell.
"""

import errno
import fcntl
import mmap
import os
import signal
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

from autoresearch.sandbox import kernel, syscalls
from autoresearch.sandbox.cleanup import descendants, signal_quietly, stat_fields

# SECCOMP_IOCTL_NOTIF_*
_RECEIVE, _ANSWER, _ADD_DESCRIPTOR, _SET_FLAGS = 0xC0502100, 0xC0182101, 0x40182103, 0x40082104
_REPLACE = 1  # the descriptor of this number (SECCOMP_ADDFD_FLAG_SETFD)
_WAKE_UP_HERE = 1  # the caller goes on on our core: faster
_CONTINUE = 1
_NOTICE = struct.Struct("=QIIiIQ6Q")  # id, pid, flags, number of the call, architecture, address, arguments
_PRIVATE = ("pipe:", "socket:", "anon_inode:[eventfd]")
_MAX_REFUSED_NAMES = 16
MAX_NAMED_SOCKETS = 64
_WITHOUT_PAGES = ("/dev/", "/proc/", "/sys/")
_STOP_TIMEOUT_S = 10.0  # a thread may be in a driver
STOPPING_S = 0.005  # CPU time that a process may use after it is seen stopped
_POPULATE_READ = 22  # MADV_POPULATE_READ, Linux 5.14
POPULATE_LIMIT_BYTES = 16 << 30
POPULATE_LIMIT_S = 10.0


class Listener:
    """Decide on the calls of one cell; `refused` names the calls that were refused.

    `sees_others`: the cell shares its network namespace, and so the names of sockets, with other cells.
    """

    def __init__(self, fd: int, sees_others: bool) -> None:
        self.fd, self.sees_others = fd, sees_others
        self.named_sockets: list[socket.socket] = []
        self.only_computes = False
        self.refused: list[str] = []
        with suppress(OSError):  # Linux 6.6
            fcntl.ioctl(fd, _SET_FLAGS, _WAKE_UP_HERE)

    def handle(self) -> None:
        """Answer one notice."""
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(self.fd, _RECEIVE, notice)
            identity, pid, _, call, _, _, *arguments = _NOTICE.unpack(notice)
            error, flags = self._decide(identity, pid, call, arguments)
            fcntl.ioctl(self.fd, _ANSWER, struct.pack("=QqiI", identity, 0, -error, flags))
        except OSError as failure:
            if failure.errno not in (errno.ENOENT, errno.EINTR):  # the caller was killed meanwhile
                raise

    def forget_names(self) -> None:
        """Free the names of sockets; to be called when the cell has ended."""
        for named in self.named_sockets:
            named.close()

    def _decide(self, identity: int, pid: int, call: int, arguments: list[int]) -> tuple[int, int]:
        """Return error and flags of the answer."""
        name = syscalls.name_of(call)
        if not self.only_computes and name == "bind" and self.sees_others:
            return self._name_socket(identity, arguments[0]), 0
        if not self.only_computes:
            return 0, _CONTINUE
        if name in ("close", "madvise"):
            return 0, 0
        if name in syscalls.BY_DESCRIPTOR and _stays_inside(pid, name, arguments):
            return 0, _CONTINUE
        if name not in self.refused and len(self.refused) < _MAX_REFUSED_NAMES:
            self.refused.append(name)
        return errno.EPERM, 0

    def _name_socket(self, identity: int, number: int) -> int:
        """Put a socket with a name in the place of the caller's descriptor; return the error of the call, or 0."""
        if len(self.named_sockets) == MAX_NAMED_SOCKETS:
            return errno.ENOBUFS
        named = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.named_sockets.append(named)
        try:
            named.bind("")  # the kernel chooses a name
            request = struct.pack("=QIIII", identity, _REPLACE, named.fileno(), number & 0xFFFFFFFF, os.O_CLOEXEC)
            fcntl.ioctl(self.fd, _ADD_DESCRIPTOR, request)
        except OSError as failure:  # EINVAL before Linux 5.9
            return failure.errno or errno.EPERM
        return 0


def _stays_inside(pid: int, name: str, arguments: list[int]) -> bool:
    try:
        target = os.readlink(f"/proc/{pid}/fd/{arguments[4] if name == 'mmap' else arguments[0]}")  # noqa: PTH115
    except OSError:
        return False
    return target.startswith("/dev/nvidia") if name == "mmap" else target.startswith(_PRIVATE)


def stop_others(program: int, spared: set[int]) -> dict[int, list[bytes]]:
    """Stop, for good, all processes below this one but the program itself: what they do would not be noticed.

    Return what each of them has done until then. Raises TimeoutError.
    """
    known = {program, *spared}
    while new := set(descendants(os.getpid())) - known:
        for pid in new:
            signal_quietly(pid, signal.SIGSTOP)
        known |= new
    others = known - {program, *spared}
    deadline = time.monotonic() + _STOP_TIMEOUT_S  # of all: our owner does not wait for ever
    for pid in others:
        _wait_until_stopped(pid, deadline)
    return {pid: _activity(pid) for pid in others}


def have_stood_still(others: dict[int, list[bytes]]) -> bool:
    """Return whether processes have done nothing since they were stopped, and have not ended either."""
    return all(_activity(pid) == before for pid, before in others.items())


def populate(paths: Sequence[str], private: str) -> None:
    """Read whole files into memory, so that no page fault in a map of them leaves a trace there.

    Twice: pages that were used once are evicted before those that were used more often. `private` is the folder of the
    cell, which is removed with it.
    """
    left, deadline = POPULATE_LIMIT_BYTES, time.monotonic() + POPULATE_LIMIT_S
    for path in paths:
        if not path.startswith((f"{private}/", *_WITHOUT_PAGES)) and time.monotonic() < deadline:
            with suppress(OSError, ValueError):
                left -= _populate_file(path, left)


def evicted(paths: Sequence[str]) -> list[str]:
    """Return the files of which not all pages are in memory."""
    return [path for path in paths if not path.startswith(_WITHOUT_PAGES) and not _is_in_memory(path)]


def _is_in_memory(path: str) -> bool:
    with suppress(OSError), open(path, "rb") as file:
        return kernel.cached_pages(file.fileno()) >= -(-os.fstat(file.fileno()).st_size // mmap.PAGESIZE)
    return False  # an older kernel, or a file that is gone


def mapped_files(pid: int) -> list[str]:
    """Return the paths of the files that a process maps."""
    paths = set()
    with suppress(OSError), open(f"/proc/{pid}/maps") as file:
        for line in file:
            fields = line.rstrip("\n").split(maxsplit=5)
            if len(fields) == 6 and fields[5].startswith("/"):
                paths.add(fields[5])
    return sorted(paths)


def _populate_file(path: str, limit: int) -> int:
    """Read a file of at most `limit` bytes into memory; return its size."""
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ, flags=mmap.MAP_SHARED) as view:
        size = len(view)
        for _ in range(2 if size <= limit else 0):
            try:
                view.madvise(_POPULATE_READ)
            except OSError:  # an older kernel
                sum(view[start] for start in range(0, size, mmap.PAGESIZE))
        return size


def stop(pid: int) -> None:
    """Stop a process, and interrupt the calls that its threads wait in. Raises TimeoutError.

    When it is continued, these calls begin anew, and are decided like all others.
    """
    signal_quietly(pid, signal.SIGSTOP)
    _wait_until_stopped(pid, time.monotonic() + _STOP_TIMEOUT_S)


def _wait_until_stopped(pid: int, deadline: float) -> None:
    while not all(state in (b"T", b"t", b"Z", b"X") for state in _states(pid)):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.001)


def _states(pid: int) -> list[bytes]:
    """Return the states of the threads of a process; none if it is gone."""
    states: list[bytes] = []
    with suppress(OSError):
        for thread in os.scandir(f"/proc/{pid}/task"):
            states += stat_fields(f"{pid}/task/{thread.name}")[:1]
    return states


def major_faults(pid: int) -> int | None:
    """Return how often a process waited for a page to be read from disk; None if it is gone."""
    fields = stat_fields(str(pid))
    return None if fields[:1] in ([], [b"Z"]) else int(fields[9])


def _activity(pid: int) -> list[bytes]:
    """Return state, page faults, CPU time and start of a process; nothing if it is gone."""
    fields = stat_fields(str(pid))
    return [fields[k] for k in (0, 7, 9, 11, 12, 19)] if fields else []
