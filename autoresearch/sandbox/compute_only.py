"""Second filter of a cell that answers about text: from the moment the text arrives, it may only compute.

What such a cell does outside its own memory can tell the next cell what it has read. Landlock does not mediate lookups:
a name that was looked up stays in the kernel's cache of names, whether it exists or not. Pages that were read stay in
memory. So paths, files, pipes and processes end with the arrival of the text.

The filter is installed before any code of train.py runs, and the calls that are not on its list are reported to the
supervisor (seccomp's user notification, Linux 5.7). The supervisor lets them through while the model is loaded, and
refuses them afterwards (listener.py). So train.py cannot prevent it, and the filter need not change.
"""

import os

from autoresearch.sandbox import bpf, kernel, syscalls
from autoresearch.sandbox.bpf import (
    ALLOW,
    NOTIFY,
    answer_all,
    argument,
    high_half,
    rule,
    then,
    unless,
    when,
    when_any,
    when_in,
)

_WHENCE = (0, 1, 2)  # SEEK_SET, SEEK_CUR, SEEK_END; SEEK_DATA leaves the places of a file in memory
_CLONE_THREAD = 0x10000
_MAP_ANONYMOUS, _MAP_LOCKED = 0x20, 0x2000
_F_GETFD, _F_GETFL = 1, 3
_ADVICE = (0, 1, 2, 4, 10, 11, 14, 15, 16, 17)  # MADV_NORMAL RANDOM SEQUENTIAL DONTNEED *FORK *HUGEPAGE *DUMP
_PRCTL = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA


def build() -> bytes | None:
    """Return the filter; None on an unknown processor."""
    if not bpf.is_known_machine():
        return None
    code = answer_all([*syscalls.COMPUTING, "ioctl"], ALLOW)  # the first filter restricts the latter
    code += rule("tgkill", argument(0) + when(os.getpid(), ALLOW) + then(NOTIFY))  # not to continue a stopped child
    code += rule("lseek", argument(2) + when_in(_WHENCE, ALLOW) + then(NOTIFY))
    code += rule("mmap", argument(3) + when_any(_MAP_LOCKED, NOTIFY) + when_any(_MAP_ANONYMOUS, ALLOW) + then(NOTIFY))
    code += rule("clone", argument(0) + when_any(_CLONE_THREAD, ALLOW) + then(NOTIFY))
    code += rule("madvise", argument(2) + when_in(_ADVICE, ALLOW) + then(NOTIFY))
    code += rule("fcntl", argument(1) + when_in((_F_GETFD, _F_GETFL), ALLOW) + then(NOTIFY))
    code += rule("prctl", argument(0) + when_in(_PRCTL, ALLOW) + then(NOTIFY))
    reads = argument(2) + unless(0, NOTIFY) + high_half(2) + unless(0, NOTIFY) + then(ALLOW)  # no new limit is given
    return bpf.assemble(code + rule("prlimit64", reads), NOTIFY)


def install() -> int | None:
    """Install the filter in all threads of this process; return the descriptor of its listener.

    None where the kernel cannot do it.
    """
    code = build()
    try:
        return None if code is None else kernel.install_listener(code)
    except OSError:
        return None
