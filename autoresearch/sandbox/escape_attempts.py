"""Program inside a cell that tries to escape: `escape_attempts.py TARGETS`; writes a line each to descriptor 3.

Last it becomes a cell that answers about text: it sends the listener of the second filter over descriptor 4, and makes
more attempts once a byte comes back.

Every attempt is real, but harmless if it succeeds: signal 0, descriptors opened and not written to, settings set to
their current values. An attempt that raises OSError was blocked. What is not visible from inside (did the datagram
arrive? does the file exist?) is checked by selftest.py, which provides the targets.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import socket
import struct
import sys
import time
import types
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TextIO

HERE = Path(__file__).resolve().parent
for _name, _folder in (("autoresearch", HERE.parent), ("autoresearch.sandbox", HERE)):
    _package = types.ModuleType(_name)  # a cell cannot list the repository: no search for modules there
    _package.__path__ = [str(_folder)]
    sys.modules.setdefault(_name, _package)
from autoresearch.sandbox import compute_only, kernel  # noqa: E402
from autoresearch.sandbox.syscalls import number  # noqa: E402

Attempt = Callable[[], object]
Targets = dict[str, Any]  # JSON from selftest.py
Address = str | tuple[str, int]
_PTRACE_SEIZE = 0x4206
_NEW_USER, _NEW_NET = 0x10000000, 0x40000000
_CREATE = 0o1000
_FIEMAP = 0xC020660B
_SECRETS = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL")


def main() -> None:
    """Make all attempts, in two groups; write their names first, so that a death on the way is noticed."""
    targets = json.loads(sys.argv[1])
    attempts = files(targets) | network(targets) | processes(targets["owner"]) | system() | channels(targets)
    with open(3, "w", buffering=1) as results, socket.socket(fileno=4) as referee:
        make(attempts | caches(targets["gpu"]), results)
        attempts = traces()
        listener = compute_only.install()
        socket.send_fds(referee, [b"runs"], [] if listener is None else [listener])
        if listener is not None and referee.recv(1):
            make(attempts, results)


def make(attempts: dict[str, Attempt], results: TextIO) -> None:
    """Make attempts and write whether each was blocked."""
    print(json.dumps(list(attempts)), file=results)
    for name, attempt in attempts.items():
        print(json.dumps([name, is_blocked(attempt)]), file=results)


def is_blocked(attempt: Attempt) -> bool:
    """Return whether an attempt fails or has no effect."""
    try:
        return attempt() is False
    except OSError:
        return True


def files(targets: Targets) -> dict[str, Attempt]:
    """Return attempts to read forbidden files by every path, and to write and change files."""
    attempts: dict[str, Attempt] = {}
    for path in targets["forbidden"]:
        ways = {"": path, " through /proc/self/root": f"/proc/self/root{path}"}
        ways[" through the owner's root"] = f"/proc/{targets['owner']}/root{path}"
        for way, place in ways.items():
            attempts[f"read {path}{way}"] = partial(read, Path(place))
        attempts[f"read {path} through a symbolic link"] = partial(read_link, Path.symlink_to, path)
        attempts[f"read {path} through a hard link"] = partial(read_link, Path.hardlink_to, path)
    for folder in targets["folders"]:
        place = Path(folder, targets["marker"])
        attempts[f"write to {folder}"] = partial(place.write_text, "x")
    canary = Path(targets["canary"])
    attempts["change the mode of a file"] = partial(canary.chmod, 0o777)
    attempts["change the time of a file"] = partial(os.utime, canary, (1, 1))
    attempts["change the attributes of a file"] = partial(os.setxattr, canary, "user.x", b"x")
    attempts["find a secret in the environment"] = lambda: any(
        secret in name.upper() for name in os.environ for secret in _SECRETS
    )
    return attempts


def read(path: Path) -> bool:
    """Read a file, or list a folder."""
    if path.is_dir():
        os.listdir(path)  # noqa: PTH208
    else:
        with path.open("rb") as file:
            file.read(1)
    return True


def read_link(make: Callable[[Path, str], None], path: str) -> bool:
    """Read through a link of our own."""
    link = Path(f"link{time.monotonic_ns()}")
    make(link, path)
    return read(link)


def network(targets: Targets) -> dict[str, Attempt]:
    """Return attempts to reach the listeners of selftest.py, and to listen, except what cuInit has to do."""
    inet, unix = socket.AF_INET, socket.AF_UNIX
    stream = socket.SOCK_STREAM
    allowed = {"listen on an abstract socket"} if targets["gpu"] else set[str]()
    attempts: dict[str, Attempt] = {
        "connect over TCP": lambda: connect(inet, stream, ("127.0.0.1", targets["tcp"])),
        "listen on TCP": lambda: listen(inet, ("127.0.0.1", 0)),
        "send over UDP": lambda: send(inet, ("127.0.0.1", targets["udp"])),
        "connect to an abstract socket": lambda: connect(unix, stream, targets["abstract"]),
        "connect to a socket on a path": lambda: connect(unix, stream, targets["stream"]),
        "send to a socket on a path": lambda: send(unix, targets["datagram"]),
        "send to a path from a socket pair": lambda: send_from_pair(targets["datagram"]),
        "listen on an abstract socket": lambda: listen(unix, "\0" + targets["marker"]),
        "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
        "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM).close(),
        "accept a connection": lambda: fails_with(errno.EAGAIN, lambda: accept(unix, "\0" + targets["marker"] + "-a")),
    }
    return {name: attempt for name, attempt in attempts.items() if name not in allowed}


def connect(family: int, kind: int, address: Address) -> None:
    with socket.socket(family, kind) as sock:
        sock.settimeout(0.2)
        sock.connect(address)


def listen(family: int, address: Address) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.bind(address)
        sock.listen()


def accept(family: int, address: Address) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        sock.bind(address)
        sock.listen()
        sock.accept()


def send(family: int, address: Address) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", address)


def send_from_pair(address: str) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        ours.sendmsg([b"x"], [], 0, address)


def processes(owner: int) -> dict[str, Attempt]:
    """Return attempts to signal, stop, read and change the program that owns the cell."""
    return {
        "signal the owner": lambda: os.kill(owner, 0),
        "signal a thread of the owner": lambda: syscall("tkill", owner, 0),
        "queue a signal for the owner": lambda: syscall("rt_sigqueueinfo", owner, 0, bytes(128)),
        "signal everybody": lambda: os.kill(-1, 0),
        "signal the owner by descriptor": lambda: syscall("pidfd_send_signal", os.pidfd_open(owner), 0, None, 0),
        "signal the owner by a pipe's end": lambda: fcntl.fcntl(os.pipe()[0], fcntl.F_SETOWN, owner),
        "trace the owner": lambda: in_child(partial(syscall, "ptrace", _PTRACE_SEIZE, owner, 0, 0)),
        "trace the supervisor": lambda: in_child(partial(syscall, "ptrace", _PTRACE_SEIZE, os.getppid(), 0, 0)),
        "read the owner's memory": lambda: read_memory(owner),
        "take a descriptor of the owner": lambda: syscall("pidfd_getfd", os.pidfd_open(owner), 0, 0),
        "open the owner's memory": lambda: os.open(f"/proc/{owner}/mem", os.O_RDONLY),
        "read the owner's environment": lambda: read(Path(f"/proc/{owner}/environ")),
        "look at a descriptor of the owner": lambda: Path(f"/proc/{owner}/fd/0").readlink(),
        "change the owner's limits": lambda: resource.prlimit(owner, resource.RLIMIT_CPU),
        "change the owner's cores": lambda: os.sched_setaffinity(owner, os.sched_getaffinity(owner)),
        "change the owner's priority": lambda: os.setpriority(os.PRIO_PROCESS, owner, os.getpriority(0, owner)),
        "make the owner die first": lambda: os.open(f"/proc/{owner}/oom_score_adj", os.O_WRONLY),
        "live on when the supervisor dies": lambda: kernel.prctl(kernel.PR_SET_PDEATHSIG, 0),
    }


def in_child(attempt: Attempt) -> bool:
    """Make an attempt in a child, because it changes its process or must end with it."""
    child = os.fork()
    if child == 0:
        os._exit(is_blocked(attempt))
    return os.waitpid(child, 0)[1] == 0


def read_memory(owner: int) -> bool:
    """Read at an address that need not exist."""
    buffer = ctypes.create_string_buffer(8)
    ours = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), 8)
    theirs = (ctypes.c_size_t * 2)(0x400000, 8)
    addresses = ctypes.addressof(ours), 1, ctypes.addressof(theirs), 1, 0
    return fails_with(errno.EFAULT, lambda: syscall("process_vm_readv", owner, *addresses))


def fails_with(number: int, attempt: Attempt) -> bool:
    """Return whether an attempt works, or fails only because its target does not exist: it was allowed."""
    try:
        attempt()
    except OSError as error:
        return error.errno == number
    return True


def system() -> dict[str, Attempt]:
    """Return attempts to gain privileges, or to reach parts of the kernel that no trial needs."""
    attempts: dict[str, Attempt] = {
        "make a user namespace": lambda: in_child(lambda: syscall("unshare", _NEW_USER)),
        "make a namespace in a child": lambda: clone(_NEW_USER | _NEW_NET),
        "mount": lambda: fails_with(errno.ENODEV, partial(kernel.call, "mount", b"none", b".", b"nothing", 0, None)),
        "change the root": lambda: os.chroot("/"),
        "set the clock": lambda: time.clock_settime_ns(time.CLOCK_REALTIME, time.time_ns()),
        "gain capabilities": lambda: kernel.call("capset", struct.pack("Ii", 0x20080522, 0), b"\xff" * 24),
        "use io_uring": lambda: syscall("io_uring_setup", 1, bytes(256)),
        "make a BPF map": lambda: syscall("bpf", 0, struct.pack("IIII", 2, 4, 4, 1).ljust(128, b"\0"), 128),
        "count events": lambda: syscall("perf_event_open", struct.pack("II", 1, 112) + bytes(104), 0, -1, -1, 0),
        "catch page faults": lambda: syscall("userfaultfd", 1),
    }
    for path in (
        *("/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "/proc/sys/vm/drop_caches", "/dev/mem"),
        *("/dev/kmsg", "/sys/fs/cgroup/cgroup.procs", "/sys/kernel/uevent_helper"),
    ):
        attempts[f"open {path}"] = partial(os.open, path, os.O_WRONLY)
    return attempts


def clone(flags: int) -> None:
    if syscall("clone", flags | 17, 0, 0, 0, 0) == 0:  # 17: SIGCHLD
        os._exit(0)


def channels(targets: Targets) -> dict[str, Attempt]:
    """Return attempts to leave a message for a cell that runs beside this one or later."""
    return {
        "leave shared memory": lambda: kernel.remove_ipc("shmctl", syscall("shmget", targets["key"], 4096, _CREATE)),
        "leave a semaphore": lambda: kernel.remove_ipc("semctl", syscall("semget", targets["key"], 1, _CREATE)),
        "leave a message": lambda: kernel.remove_ipc("msgctl", syscall("msgget", targets["key"], _CREATE)),
        "leave a message queue": lambda: leave_queue(targets["marker"].encode()),
        "leave a key": lambda: syscall("keyctl", 3, syscall("add_key", b"user", b"x", b"x", 1, -4)),  # 3: revoke
        "lock a file": lambda: can_lock_file(Path(sys.executable)),
        "lock a range of a file": can_lock_range,
        "lease a file": lambda: fcntl.fcntl(os.open("leased", os.O_CREAT | os.O_RDONLY), 1024, fcntl.F_RDLCK),
        "ask what lies in the page cache": lambda: os.preadv(
            os.open(sys.executable, os.O_RDONLY), [bytearray(1)], 0, os.RWF_NOWAIT
        ),
        "ask which pages are in memory": lambda: syscall("mincore", 0, 0, None),
        "watch a folder": lambda: syscall("inotify_add_watch", kernel.call("inotify_init1", 0), b"/usr", 0x20),
    }


def caches(gpu: bool) -> dict[str, Attempt]:
    """Return attempts to see what other cells have left in the caches of the kernel."""
    owners = ["self", *([] if gpu else [f"self/task/{os.getpid()}"])]  # CUDA needs the folder of its threads
    return {
        "count the names that were looked up": lambda: read(Path("/proc/sys/fs/dentry-state")),
        "count the kernel's objects": lambda: read(Path("/proc/slabinfo")),
        "count the pages of all": lambda: read(Path("/proc/vmstat")),
        "ask where a file lies on the disk": lambda: fcntl.ioctl(
            os.open(sys.executable, os.O_RDONLY), _FIEMAP, bytes(32)
        ),
        **{f"see which pages are in memory in /proc/{at}": partial(read, Path(f"/proc/{at}/pagemap")) for at in owners},
    }


def traces() -> dict[str, Attempt]:
    """Return attempts to leave a trace after the text has arrived."""
    file = os.open(sys.executable, os.O_RDONLY)
    named = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    missing = str(HERE / f"missing{time.monotonic_ns()}")
    return {
        "look a name up": lambda: fails_with(errno.ENOENT, lambda: os.stat(missing)),  # noqa: PTH116
        "ask whether a name may be read": lambda: fails_with(
            errno.ENOENT, partial(syscall, "faccessat", -100, missing.encode(), 0)
        ),
        "open a file": lambda: os.open(sys.executable, os.O_RDONLY),
        "read a file that was open before": lambda: os.pread(file, 1, 0),
        "map a file that was open before": lambda: mmap.mmap(file, 0, prot=mmap.PROT_READ),
        "copy a descriptor": lambda: os.dup(file),
        "make a pipe": os.pipe,
        "make a memory file": lambda: os.memfd_create("trace"),
        "make sockets": socket.socketpair,
        "name a socket": lambda: named.bind(""),
        "start a process": lambda: in_child(lambda: True),
        "keep pages in memory": lambda: syscall("mlockall", 1),
    }


def leave_queue(name: bytes) -> None:
    """Make a POSIX message queue, and remove it."""
    os.close(syscall("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None))
    syscall("mq_unlink", name)


def can_lock_file(path: Path) -> bool:
    """Return whether a lock taken through one descriptor is visible through another."""
    with path.open("rb") as one, path.open("rb") as other:
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return not is_free(lambda: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB))


def can_lock_range() -> bool:
    """Return the same for locks on ranges, which belong to descriptors too (F_OFD_SETLK)."""
    path = Path("locked")
    lock = bytes(ctypes.c_short(fcntl.F_WRLCK)).ljust(32, b"\0")
    with path.open("wb") as one, path.open("wb") as other:
        fcntl.fcntl(one, 37, lock)
        return not is_free(lambda: fcntl.fcntl(other, 37, lock))


def is_free(lock: Attempt) -> bool:
    try:
        lock()
    except BlockingIOError:
        return False
    return True


def syscall(name: str, *arguments: int | bytes | None) -> int:
    return kernel.call("syscall", number(name), *arguments)


if __name__ == "__main__":
    main()
