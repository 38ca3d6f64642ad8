"""Filter of system calls: no network, no other processes, nothing that outlives the cell.

A call is refused, *pretended*, or allowed. A pretended call reports success and does nothing: record locks, modes and
times of files, and hints on what to keep in memory are channels between cells, and cores belong to the slot; but
compilers, caches and thread pools expect these calls to work. (A cell that makes programs of its own files may change
their modes and times.) Of ioctl, which reaches into every file system and driver, only the commands of a list are
allowed.

Some refused calls only look harmless: fcntl(F_SETOWN) and ioctl(FIOSETOWN) send signals to any process, sendmsg on a
datagram socket reaches path sockets without connect(2), and prlimit takes any process.
"""

import errno

from autoresearch.sandbox import bpf, kernel, syscalls
from autoresearch.sandbox.bpf import (
    ALLOW,
    PRETEND,
    REFUSE,
    answer_all,
    argument,
    branch,
    fail,
    masked,
    rule,
    then,
    unless,
    when,
    when_any,
    when_in,
)

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_STREAM, _SOCK_SEQPACKET = 1, 5
_PROTOCOLS = (0, 6)  # the default, which is TCP, and TCP
_MSG_FASTOPEN = 0x20000000
_NEW_NAMESPACES, _CLONE_THREAD = 0x7E020000, 0x10000
_F_SETLKS = (6, 7, 37, 38)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW
_F_GETLKS = (5, 36)
_F_REFUSED = (8, 10, 15, 1024, 1026, 1036, 1038)  # SETOWN SETSIG SETOWN_EX SETLEASE NOTIFY, write hints
_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS TIOCGWINSZ FIONREAD FIONBIO FIONCLEX FIOCLEX
_IOCTLS_TERMINAL = (  # that a coding agent's tools use
    # TCSETS, TCSETSW, TCSETSF, TCFLSH, TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCSWINSZ
    *(0x5402, 0x5403, 0x5404, 0x540B, 0x540E, 0x540F, 0x5410, 0x5414),
    # TIOCNOTTY, TIOCGPTN, TIOCSPTLCK, TIOCGPTPEER
    *(0x5422, 0x80045430, 0x40045431, 0x5441),
    # SIOCGIF*: names and addresses of interfaces
    *(0x8910, 0x8912, 0x8913, 0x8915, 0x891B, 0x8921, 0x8927, 0x8933),
)
_IOCTL_TYPES_GPU = (0x46, 0x64, 0x4B, 0x47)  # NVIDIA, DRM, AMD's KFD, WSL's dxg
_IOCTLS_UVM = (0x30000001, 0x30000002)  # and all numbers below 256, which have no type
_EVICTING = (20, 21)  # MADV_COLD, MADV_PAGEOUT
_SPECIAL_MODES = 0o7000  # setuid, setgid, sticky


def build(
    threads_only: bool,
    network: bool,
    gpu: bool,
    protect: list[int] | None,
    tcp_only: bool = False,
    own_modes: bool = False,
) -> bytes | None:
    """Return the filter; None on an unknown processor.

    `threads_only` refuses new processes. `protect` are processes that share a process namespace with the cell and may
    not be touched; None if the cell has its own namespace. `tcp_only` restricts a network to connections over TCP,
    which Landlock restricts to ports. `own_modes` lets the cell change modes and times, as compilers and make do:
    only where all files but its own are mounted read-only.
    """
    if not bpf.is_known_machine():
        return None
    refused = syscalls.FOREIGN_PROCESSES | syscalls.CARRY_OVER | syscalls.SYSTEM
    code = answer_all(refused | (syscalls.FORKS if threads_only else {}), REFUSE)
    code += answer_all(syscalls.ATTRIBUTES, fail(errno.EOPNOTSUPP))
    code += answer_all(syscalls.PAGE_CACHE, fail(errno.ENOSYS))
    code += answer_all(syscalls.PRETENDED, PRETEND)
    code += _own_modes() if own_modes else answer_all(syscalls.MODES, PRETEND) + _times()
    # evicting the pages of a shared file is pretended: they must stay in memory
    code += rule("madvise", argument(2) + when_in(_EVICTING, PRETEND) + then(ALLOW))
    code += _connections() + rule("socketpair", _pair()) if network and tcp_only else _sockets(network, gpu)
    code += _processes(threads_only)
    code += _file_control() + _device_control(network, gpu)
    code += _signals(protect)
    code += _foreign_settings(own_namespace=protect is None)
    return bpf.assemble(code, ALLOW)


def _sockets(network: bool, gpu: bool) -> bpf.Code:
    """Allow families and kinds of sockets; without a network, nobody connects to one.

    cuInit gives an abstract name to a socket and listens on it; if that is refused, it fails with error 304.
    """
    pair = _pair()
    if network:  # sockets on paths, such as docker.sock, stay out of reach
        families = when_in((_AF_INET, _AF_INET6, _AF_NETLINK), ALLOW)
        return rule("socket", argument(0) + families + then(REFUSE)) + rule("socketpair", pair)
    refused = answer_all(syscalls.ACCEPTS if gpu else syscalls.SERVERS, REFUSE)
    refused += answer_all(syscalls.CONNECT, fail(errno.ECONNREFUSED))
    return refused + rule("socket", pair) + rule("socketpair", pair)


def _pair() -> bpf.Code:
    connected = masked(0xF) + when_in((_SOCK_STREAM, _SOCK_SEQPACKET), ALLOW) + then(REFUSE)
    return argument(0) + unless(_AF_UNIX, REFUSE) + argument(1) + connected


def _connections() -> bpf.Code:
    """Allow TCP sockets that connect, and nothing else: no servers, no datagrams, no protocol beside TCP.

    A message with MSG_FASTOPEN connects a socket, and Landlock does not see it.
    """
    stream = argument(1) + masked(0xF) + unless(_SOCK_STREAM, REFUSE)
    stream += argument(2) + when_in(_PROTOCOLS, ALLOW) + then(REFUSE)
    inet = [step for family in (_AF_INET, _AF_INET6) for step in branch(family, stream)]
    code = rule("socket", argument(0) + when(_AF_NETLINK, ALLOW) + inet + then(REFUSE))
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        code += rule(name, argument(flags) + when_any(_MSG_FASTOPEN, REFUSE) + then(ALLOW))
    return code + answer_all(syscalls.LISTENERS, REFUSE)


def _processes(threads_only: bool) -> bpf.Code:
    fresh = argument(0) + when_any(_NEW_NAMESPACES, REFUSE)
    if threads_only:
        fresh += when_any(_CLONE_THREAD, ALLOW) + then(REFUSE)
    # a filter cannot see the flags of clone3, which lie in memory; without it the C library uses clone
    code = rule("clone", fresh + then(ALLOW)) + rule("clone3", then(fail(errno.ENOSYS)))
    ours_to_set = argument(1) + when(0, REFUSE) + then(ALLOW)  # the parent-death signal may not be cleared
    return code + rule("prctl", argument(0) + unless(kernel.PR_SET_PDEATHSIG, ALLOW) + ours_to_set)


def _times() -> bpf.Code:
    """Pretend to change times, but fail where a path is to get the time of now: else `Path.touch` creates no file."""
    body = argument(2) + unless(0, PRETEND) + argument(1) + when(0, PRETEND) + then(fail(errno.EPERM))
    return rule("utimensat", body) + answer_all(syscalls.TIMES, PRETEND)


def _own_modes() -> bpf.Code:
    """Allow modes that say who may read, write and execute a file, but no others (setuid, setgid)."""
    places = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2}  # of the mode in the arguments
    plain = when_any(_SPECIAL_MODES, REFUSE) + then(ALLOW)
    known = {name: place for name, place in places.items() if syscalls.number(name) >= 0}
    return [step for name, place in known.items() for step in rule(name, argument(place) + plain)]


def _file_control() -> bpf.Code:
    locks = when_in(_F_SETLKS, PRETEND) + when_in(_F_GETLKS, fail(errno.EINVAL))
    return rule("fcntl", argument(1) + locks + when_in(_F_REFUSED, REFUSE) + then(ALLOW))


def _device_control(network: bool, gpu: bool) -> bpf.Code:
    """Allow the commands of a list; to the others answer as a file that does not know them."""
    body = argument(1) + when_in([*_IOCTLS, *(_IOCTLS_TERMINAL if network else ())], ALLOW)
    if gpu:
        body += when_in(_IOCTLS_UVM, ALLOW) + masked(0xFFFFFF00) + when(0, ALLOW)
        body += argument(1) + masked(0xFF00) + when_in([kind << 8 for kind in _IOCTL_TYPES_GPU], ALLOW)
    return rule("ioctl", body + then(fail(errno.ENOTTY)))


def _signals(protect: list[int] | None) -> bpf.Code:
    if protect is None:
        return []
    code = rule("tkill", then(REFUSE))  # takes any thread; the C library uses tgkill
    for name in ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        refused = [*protect, *([-1, *(-pid for pid in protect)] if name == "kill" else [])]
        code += rule(name, argument(0) + when_in(refused, REFUSE) + then(ALLOW))
    return code


def _foreign_settings(own_namespace: bool) -> bpf.Code:
    """Allow limits and priorities for the process itself only, unless no process outside is visible."""
    code: bpf.Code = []
    if not own_namespace:
        own = argument(0) + unless(0, REFUSE) + then(ALLOW)
        for name in ("prlimit64", "sched_setscheduler", "sched_setparam", "sched_setattr", "move_pages"):
            code += rule(name, own)
    # cores belong to the slot, but libraries expect to be able to bind threads
    others = [] if own_namespace else argument(0) + unless(0, REFUSE)
    code += rule("sched_setaffinity", others + then(PRETEND))
    for name, one_process in (("setpriority", 0), ("ioprio_set", 1)):
        itself = argument(0) + unless(one_process, REFUSE) + argument(1) + unless(0, REFUSE)
        code += rule(name, itself + then(ALLOW))
    return code
