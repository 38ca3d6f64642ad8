"""The layers that a process puts on itself between fork and exec, each optional, and what came of them."""

import os
import resource
import signal
import struct
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from autoresearch.sandbox import kernel, landlock, seccomp
from autoresearch.sandbox.namespaces import succeeds

FILE_LIMIT = 16 << 30  # bytes of the largest file
OPEN_FILES = 65536
SPARE_PROCESSES = 4096  # more than the machine runs already
FIRST_UID, UIDS = 61184, 4336  # systemd's range of dynamic users: nobody's
OPTIONAL_DEVICES = (
    "/dev/nvidia-caps/",
    "/dev/dri/",
    "/dev/nvidia-modeset",
)  # often root's, not needed to compute
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION = 0x20080522
_NO_ROOT = 0x2F  # securebits: uid 0 is nobody special, and that is locked


def apply(order: dict[str, Any], mounted: dict[str, Any]) -> dict[str, Any]:
    """Put on every layer that can be had; what they are. `mounted` is what namespaces came to."""
    off = set(order["off"])
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # else /proc/self belongs to root
    report = {
        "ns": order["namespaces"],
        "uid": order["uid"],
        "reaper": True,
        "shm": "shared",
        "readonly": False,
    }
    report |= mounted
    report["rlimits"] = "rlimits" not in off and _limit(order)
    if order["uid"] is not None:
        become_user(order["uid"])
    report["caps"] = _capabilities() if "caps" in off else drop_capabilities()
    report["nnp"] = "nnp" not in off and _no_new_privileges()
    report["landlock"] = 0 if "landlock" in off else _restrict_files(order, report["shm"] == "private")
    kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGKILL)  # changes of user and capabilities clear it
    report["seccomp"] = "seccomp" not in off and _filter_calls(order)
    if report["landlock"] and report["shm"] == "shared":
        report["shm"] = "denied"
    return report


def choose_uid(paths: Sequence[str], devices: Sequence[str]) -> int | None:
    """A user of the cell's own, if we may become one and it can read `paths` and use `devices`; by trying."""
    if os.geteuid() != 0:
        return None
    uid = FIRST_UID + os.getpid() % UIDS
    needed = [device for device in devices if not device.startswith(OPTIONAL_DEVICES)]
    return uid if succeeds(lambda: _reach(uid, paths, needed)) else None


def become_user(uid: int) -> None:
    """Be another user, of no group but its own, for good. Raises OSError."""
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def drop_capabilities() -> int:
    """Give up every capability, for programs executed later as well; how many are left."""
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
    """How many capabilities this process has, or may get by executing a program."""
    with open("/proc/self/status") as file:
        fields = dict(line.split(":", 1) for line in file)
    sets = ("CapPrm", "CapEff", "CapBnd") if os.geteuid() == 0 else ("CapPrm", "CapEff")
    return max(int(fields[name], 16).bit_count() for name in sets)


def _no_new_privileges() -> bool:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    return True


def _reach(uid: int, paths: Sequence[str], devices: Sequence[str]) -> None:
    become_user(uid)
    for path in (*paths, *devices):
        if not os.access(path, os.R_OK | (os.W_OK if path in devices else 0)):
            raise PermissionError(path)


def _restrict_files(order: dict[str, Any], private_shm: bool) -> int:
    abi: int = min(landlock.version(), order["landlock_limit"])
    if abi == 0:
        return 0
    view = order["view"]
    try:
        rules = landlock.Rules(abi, order["network"])
        rules.listable(view["listable"])
        rules.readable(view["readable"])
        rules.usable(view["devices"])
        rules.writable([order["tmp"], *(["/dev/shm"] if private_shm else [])])
        rules.own_threads()
        rules.enforce()
    except OSError:
        return 0
    return abi


def _filter_calls(order: dict[str, Any]) -> bool:
    protect = None if "pid" in order["namespaces"] else order["protect"]
    code = seccomp.build(order["threads_only"], order["network"], protect)
    if code is None:
        return False
    try:
        kernel.install_filter(code)
    except OSError:
        return False
    return True


def _limit(order: dict[str, Any]) -> bool:
    """Bounds on memory, files and processes; if memory runs out all the same, this process dies first."""
    with open("/proc/loadavg") as file:
        threads = int(file.read().split()[3].split("/")[1])  # on the whole machine
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_FSIZE, FILE_LIMIT)
    _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
    _lower(resource.RLIMIT_NPROC, threads + SPARE_PROCESSES)
    if order["memory"] is not None:
        _lower(resource.RLIMIT_DATA, order["memory"])
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")
    return True


def _lower(kind: int, value: int) -> None:
    """Set a limit, soft and hard, unless it is lower already."""
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))
