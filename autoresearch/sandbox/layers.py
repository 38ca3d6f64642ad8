"""Layers that a process applies to itself between fork and exec; each is optional, and its state is reported."""

import os
import resource
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TypedDict, cast

from autoresearch.sandbox import doors, kernel, landlock, seccomp
from autoresearch.sandbox.namespaces import succeeds, try_step

MAX_FILE_BYTES = 16 << 30
MAX_OPEN_FILES = 65536
SPARE_PROCESSES = 4096  # beyond those that the machine runs already
CELL_UIDS = range(61184, 65520)  # systemd's range of dynamic users
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522
_NO_ROOT = 0x2F  # securebits: uid 0 has no special rights, and this is locked


class View(TypedDict):
    """Paths that a cell may use."""

    readable: list[str]
    listable: list[str]
    devices: list[str]


class Order(View):
    """Everything that the supervisor needs to know to start a cell; it sets the last four fields itself."""

    owner: int
    program: list[str]
    fds: dict[str, int]
    tmp: str
    environment: dict[str, str]
    memory: int | None
    cores: list[int] | None
    log_limit: int
    nice: int
    off: list[str]
    must_reach: list[str]
    must_use: list[str]
    landlock_limit: int
    threads_only: bool
    executes: bool
    network: bool
    gpu: bool
    doors: list[int]
    control: int
    protect: list[int]
    namespaces: list[str]
    uid: int | None


def apply(order: Order, mounted: dict[str, object]) -> dict[str, object]:
    """Apply every layer that is available and report them; `mounted` is the report of the mount namespace."""
    off = set(order["off"])
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root
    report: dict[str, object] = {"ns": order["namespaces"], "uid": order["uid"], "reaper": True}
    report |= {"shm": "shared", "readonly": False} | mounted
    report["rlimits"] = "rlimits" not in off and _set_limits(order)
    if order["uid"] is not None:
        become_user(order["uid"])
    report["caps"] = _capabilities() if "caps" in off else drop_capabilities()
    report["nnp"] = "nnp" not in off and kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1) == 0
    report["landlock"] = 0 if "landlock" in off else _restrict_files(order, report["shm"] == "private")
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # changes of user and capabilities clear it
    report["seccomp"] = "seccomp" not in off and _filter_calls(order, report["readonly"] is True)
    report["network"] = doors.state(
        order["network"], order["namespaces"], cast(int, report["landlock"]), report["seccomp"] is True
    )
    if report["landlock"] and report["shm"] == "shared":
        report["shm"] = "denied"
    return report


def choose_uid(paths: Sequence[str], devices: Sequence[str]) -> int | None:
    """Return a user for this cell alone, if a trial shows that it can read `paths` and use `devices`; else None."""
    if os.geteuid() != 0:
        return None
    uid = CELL_UIDS[os.getpid() % len(CELL_UIDS)]
    return uid if succeeds(lambda: _check_access(uid, paths, devices)) else None


def can_inspect(uid: int) -> bool:
    """Return whether this process sees the descriptors of a process of another user: CAP_SYS_PTRACE is needed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        with suppress(OSError):
            become_user(uid)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
            os.write(writer, b"x")
            signal.pause()
        os._exit(1)
    os.close(writer)
    try:
        os.read(reader, 1)
        os.readlink(f"/proc/{pid}/fd/{reader}")  # noqa: PTH115
        return True
    except OSError:
        return False
    finally:
        os.close(reader)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def become_user(uid: int) -> None:
    """Become another user, without groups, permanently. Raises OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def drop_capabilities() -> int:
    """Drop every capability, also for programs executed later; return how many are left."""
    for capability in range(64):
        with suppress(OSError):
            kernel.prctl(kernel.PR_CAPBSET_DROP, capability)
    with suppress(OSError):
        kernel.prctl(kernel.PR_SET_SECUREBITS, _NO_ROOT)
    if kernel.MACHINE in _CAPSET:
        header = struct.pack("Ii", _CAPABILITY_VERSION, 0)
        with suppress(OSError):
            kernel.call("syscall", _CAPSET[kernel.MACHINE], header, bytes(24))
    return _capabilities()


def _capabilities() -> int:
    """Count the capabilities that this process has, or may get by executing a program."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    sets = ("CapPrm", "CapEff", "CapBnd") if os.geteuid() == 0 else ("CapPrm", "CapEff")
    return max(int(fields[name], 16).bit_count() for name in sets)


def _check_access(uid: int, paths: Sequence[str], devices: Sequence[str]) -> None:
    become_user(uid)
    for path in (*paths, *devices):
        if not os.access(path, os.R_OK | (os.W_OK if path in devices else 0)):
            raise PermissionError(path)


def _restrict_files(order: Order, private_shm: bool) -> int:
    abi: int = min(landlock.version(), order["landlock_limit"])
    if abi == 0:
        return 0
    try:
        rules = landlock.Rules(abi, restrict_tcp=not _has_own_network(order))
        if order["network"]:
            rules.allow_connecting(filter(doors.is_safe_anywhere, order["doors"]))
        rules.allow(landlock.LISTING, order["listable"])
        rules.allow(landlock.READING, order["readable"])
        rules.allow(landlock.DEVICES, order["devices"])
        rules.allow(landlock.WRITING, [order["tmp"], *(["/dev/shm"] if private_shm else [])])
        rules.allow_own_process(order["gpu"])
        rules.enforce()
    except OSError:
        return 0
    return abi


def _has_own_network(order: Order) -> bool:
    """Return whether the cell may use a network, and the one that it sees is its own."""
    return order["network"] and "net" in order["namespaces"]


def _filter_calls(order: Order, read_only: bool) -> bool:
    protect = None if "pid" in order["namespaces"] else order["protect"]
    tcp_only = not _has_own_network(order)
    own_modes = order["executes"] and read_only
    code = seccomp.build(order["threads_only"], order["network"], order["gpu"], protect, tcp_only, own_modes)
    return code is not None and try_step(partial(kernel.install_filter, code))


def _set_limits(order: Order) -> bool:
    """Limit memory, files and processes; if memory still runs out, this process is killed first."""
    with open("/proc/loadavg") as file:
        threads = int(file.read().split()[3].split("/")[1])  # on the whole machine
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, MAX_FILE_BYTES)
    _lower(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    _lower(resource.RLIMIT_NPROC, threads + SPARE_PROCESSES)
    if order["memory"] is not None:
        _lower(resource.RLIMIT_DATA, order["memory"])
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")
    return True


def _lower(kind: int, value: int) -> None:
    """Lower a limit, soft and hard; leave it if it is lower already."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
