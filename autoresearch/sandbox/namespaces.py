"""Namespaces of a cell for processes, mounts, network and System V IPC, where the kernel allows them.

Entered directly as root, else through a user namespace; a default container allows neither, and the other layers must
suffice. In a mount namespace everything except the private folder is read-only (so reading leaves no access time
either), /proc shows only the cell, and /dev/shm is new.
"""

import functools
import os
import signal
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from autoresearch.sandbox import kernel

_FLAGS = {"user": 0x10000000, "pid": 0x20000000, "mnt": 0x00020000, "net": 0x40000000, "ipc": 0x08000000}
_CANDIDATES = (("pid", "mnt", "net", "ipc"), ("mnt", "net", "ipc"), ("net", "ipc"))
_MS_BIND, _MS_PRIVATE_ALL, _HARMLESS = 0x1000, 0x44000, 0xE  # _HARMLESS: no setuid, no devices, no programs
_MOUNT_SETATTR, _AT_FDCWD, _AT_RECURSIVE, _READ_ONLY = 442, -100, 0x8000, 1


def choose() -> list[str]:
    """Return the most namespaces that are available here, found by trying in a child process; may be empty."""
    for user in ([], ["user"]) if os.geteuid() == 0 else (["user"],):
        for candidate in _CANDIDATES:
            kinds = [*user, *candidate]
            if succeeds(functools.partial(_enter_all, kinds)):
                return kinds
    return []


def succeeds(attempt: Callable[[], object]) -> bool:
    """Return whether `attempt` ends without an OSError in a forked process."""
    pid = os.fork()
    if pid == 0:
        try:
            attempt()
            os._exit(0)
        except OSError:
            os._exit(1)
    return os.waitpid(pid, 0)[1] == 0


def enter_outer(kinds: Sequence[str]) -> None:
    """Enter, in the supervisor, the user namespace and the process namespace of its next child. Raises OSError."""
    user, group = os.geteuid(), os.getegid()
    kernel.call("unshare", sum(_FLAGS[kind] for kind in kinds if kind in ("user", "pid")))
    if "user" in kinds:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)


def enter_inner(kinds: Sequence[str], tmp: str) -> dict[str, object]:
    """Enter, in the child, the other namespaces and mount its file systems. Raises OSError."""
    kernel.call("unshare", sum(_FLAGS[kind] for kind in kinds if kind not in ("user", "pid")))
    if "mnt" not in kinds:
        return {}
    _mount(None, "/", None, _MS_PRIVATE_ALL)
    _mount(tmp, tmp, None, _MS_BIND)
    private_shm = try_step(lambda: _mount("tmpfs", "/dev/shm", "tmpfs", _HARMLESS, "size=50%,mode=1777"))
    read_only = try_step(lambda: _set_read_only("/", on=True))
    if read_only:
        _set_read_only(tmp, on=False)
        if private_shm:
            _set_read_only("/dev/shm", on=False)
    if "pid" in kinds:
        _mount("proc", "/proc", "proc", _HARMLESS)
    return {"shm": "private" if private_shm else "shared", "readonly": read_only}


def run_as_init(start: Callable[[], None], status: int) -> NoReturn:
    """Start the program in a child, as process 1 of a namespace; reap until it ends and write its exit status.

    When this process ends, the kernel kills all others in the namespace.
    """
    child = os.fork()
    if child == 0:
        start()
    for number in (signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    os.closerange(3, status)
    os.closerange(status + 1, 4096)
    while True:
        pid, code = os.wait()
        if pid == child:
            os.write(status, struct.pack("i", os.waitstatus_to_exitcode(code)))
            os._exit(0)


def find_process(inner: int, candidates: Sequence[int], proc: str = "/proc") -> int | None:
    """Return the process that has the number `inner` in its own namespace; None if none of them has.

    Some kernels (gVisor) do not tell that number. There it is the first of them: process 1 starts the program only.
    """
    known = False
    for pid in candidates:
        with suppress(OSError), open(f"{proc}/{pid}/status") as file:
            numbers = next((line.split()[1:] for line in file if line.startswith("NSpid:")), None)
            known |= numbers is not None
            if numbers is not None and numbers[-1:] == [str(inner)]:
                return pid
    return candidates[0] if candidates and not known else None


def read_status(fd: int) -> int | None:
    """Return the exit status that `run_as_init` wrote, if it did."""
    data = os.read(fd, 4)
    return struct.unpack("i", data)[0] if len(data) == 4 else None


def _enter_all(kinds: Sequence[str]) -> None:
    enter_outer(kinds)
    if not succeeds(lambda: enter_inner(kinds, "/tmp")):
        raise OSError


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    names = [None if text is None else text.encode() for text in (source, target, kind, data)]
    kernel.call("mount", names[0], names[1], names[2], flags, names[3])


def _set_read_only(path: str, on: bool) -> None:
    """Make a mount and all mounts below it read-only, or only the mount itself writable."""
    attributes = struct.pack("QQQQ", _READ_ONLY if on else 0, 0 if on else _READ_ONLY, 0, 0)
    flags = _AT_RECURSIVE if on else 0
    kernel.call("syscall", _MOUNT_SETATTR, _AT_FDCWD, path.encode(), flags, attributes, len(attributes))


def try_step(step: Callable[[], None]) -> bool:
    """Return whether a step ends without an OSError in this process."""
    with suppress(OSError):
        step()
        return True
    return False
