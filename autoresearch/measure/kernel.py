"""Calls to the Linux kernel that Python's standard library does not offer, and the numbers they need."""

import ctypes
import os

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_SECUREBITS = 1, 4, 22, 24, 28
PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 36, 38

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int) -> int:
    """The result of a C function. Raises OSError if it is negative."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def prctl(option: int, value: int = 0, other: int = 0) -> int:
    """prctl(2) with numbers. Raises OSError."""
    rest = [ctypes.c_ulong(number) for number in (value, other, 0, 0)]
    return check(int(libc.prctl(option, *rest)))
