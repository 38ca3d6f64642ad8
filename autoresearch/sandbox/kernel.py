"""Linux kernel calls that Python's standard library lacks, and their constants."""

import ctypes
import os
import platform
import time

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_SECUREBITS = 1, 4, 22, 24, 28
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38
_IPC_RMID = 0
_CACHESTAT = 451  # on every processor
_SECCOMP = {"x86_64": 317, "aarch64": 277}  # number of seccomp(2)

MACHINE = platform.machine()

_libc = ctypes.CDLL(None, use_errno=True)


def call(name: str, *arguments: int | bytes | None) -> int:
    """Call a function of the C library. Raises OSError if it returns a negative number."""
    plain = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(getattr(_libc, name)(*plain))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, value: int = 0) -> int:
    """Call prctl(2) with numbers. Raises OSError."""
    return call("prctl", option, value, 0, 0, 0)


def cpu_seconds(pid: int) -> float | None:
    """Read the CPU time of a process and its threads from outside; None when it is gone."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED) of the kernel
    except OSError:
        return None


def remove_ipc(function: str, number: int) -> None:
    """Remove a System V object with `shmctl`, `semctl` or `msgctl`. Raises OSError."""
    call(function, number, *((0, _IPC_RMID, 0) if function == "semctl" else (_IPC_RMID, 0)))


def cached_pages(fd: int) -> int:
    """Return how many pages of a file are in memory (Linux 6.5). Raises OSError."""
    whole, counts = (ctypes.c_uint64 * 2)(0, 0), (ctypes.c_uint64 * 5)()
    call("syscall", _CACHESTAT, fd, ctypes.addressof(whole), ctypes.addressof(counts), 0)
    return int(counts[0])


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


def install_filter(code: bytes) -> None:
    """Install a BPF program (8 bytes per instruction) as the seccomp filter of this process. Raises OSError."""
    program = _Program(len(code) // 8, code)
    call("prctl", PR_SET_SECCOMP, 2, ctypes.addressof(program), 0, 0)


def install_listener(code: bytes) -> int:
    """Install a filter in all threads, and return the descriptor that is told of its calls. Raises OSError."""
    program = _Program(len(code) // 8, code)
    set_filter, flags = 1, 0x19  # SECCOMP_FILTER_FLAG_TSYNC | NEW_LISTENER | TSYNC_ESRCH
    return call("syscall", _SECCOMP.get(MACHINE, -1), set_filter, flags, ctypes.addressof(program))
