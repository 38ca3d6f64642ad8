"""Filter of system calls: no network, no other processes, nothing that outlives the cell.

Written as BPF by hand, for x86-64 and aarch64, so that no library has to be trusted or installed. A call is refused,
*pretended*, or allowed. A pretended call reports success and does nothing: record locks, modes and times of files, and
hints on what to keep in memory are channels between cells, and cores belong to the slot; but compilers, caches and
thread pools expect these calls to work.

Some refused calls only look harmless: fcntl(F_SETOWN) and ioctl(FIOSETOWN) send signals to any process, sendmsg on a
datagram socket reaches path sockets without connect(2), and prlimit takes any process.
"""

import errno
import struct
from collections.abc import Iterable

from autoresearch.sandbox import kernel, syscalls
from autoresearch.sandbox.syscalls import number

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_STREAM, _SOCK_SEQPACKET = 1, 5
_PROTOCOLS = (0, 6)  # the default, which is TCP, and TCP
_MSG_FASTOPEN = 0x20000000
_NEW_NAMESPACES, _CLONE_THREAD = 0x7E020000, 0x10000
_F_SETLKS = (6, 7, 37, 38)  # F_SETLK, F_SETLKW, F_OFD_SETLK, F_OFD_SETLKW
_F_GETLKS = (5, 36)
_F_REFUSED = (8, 10, 15, 1024, 1026, 1036, 1038)  # SETOWN SETSIG SETOWN_EX SETLEASE NOTIFY, write hints
_IOCTLS_REFUSED = (0x5412, 0x541C, 0x8901, 0x8902, 0x40086602, 0x401C5820, 0x40087602)
# TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP, FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR, FS_IOC_SETVERSION
_EVICTING = (20, 21)  # MADV_COLD, MADV_PAGEOUT

_LOAD, _AND, _JUMP_EQUAL, _JUMP_ANY_BIT, _JUMP_AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x45, 0x35, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_PRETEND = _ERRNO
_REFUSE = _ERRNO | errno.EPERM

Code = list[tuple[int, int, int, int]]


def build(threads_only: bool, network: bool, protect: list[int] | None, tcp_only: bool = False) -> bytes | None:
    """Return the filter; None on an unknown processor.

    `threads_only` refuses new processes. `protect` are processes that share a process namespace with the cell and may
    not be touched; None if the cell has its own namespace. `tcp_only` restricts a network to connections over TCP,
    which Landlock restricts to ports.
    """
    if kernel.MACHINE not in _AUDIT_ARCH:
        return None
    code = _check_architecture()
    refused = syscalls.FOREIGN_PROCESSES | syscalls.CARRY_OVER | syscalls.SYSTEM
    code += _answer_all(refused | (syscalls.FORKS if threads_only else {}), _REFUSE)
    code += _answer_all(syscalls.ATTRIBUTES, _ERRNO | errno.EOPNOTSUPP)
    code += _answer_all(syscalls.PAGE_CACHE, _ERRNO | errno.ENOSYS)
    code += _answer_all(syscalls.PRETENDED, _PRETEND)
    # evicting the pages of a shared file is pretended: they must stay in memory
    code += _rule("madvise", _argument(2) + _when_in(_EVICTING, _PRETEND) + _then(_ALLOW))
    code += _connections() + _rule("socketpair", _pair()) if network and tcp_only else _sockets(network)
    code += _processes(threads_only)
    code += _files()
    code += _signals(protect)
    code += _foreign_settings(own_namespace=protect is None)
    code += [(_RETURN, 0, 0, _ALLOW)]
    return b"".join(struct.pack("HBBI", *instruction) for instruction in code)


def _check_architecture() -> Code:
    """Kill a process that uses another calling convention (i386, x32, 32-bit ARM), with other call numbers."""
    code = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[kernel.MACHINE]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
    ]
    if kernel.MACHINE == "x86_64":
        code += [(_JUMP_AT_LEAST, 0, 1, 0x40000000), (_RETURN, 0, 0, _KILL)]
    return code


def _sockets(network: bool) -> Code:
    pair = _pair()
    if network:  # sockets on paths, such as docker.sock, stay out of reach
        families = _when_in((_AF_INET, _AF_INET6, _AF_NETLINK), _ALLOW)
        return _rule("socket", _argument(0) + families + _then(_REFUSE)) + _rule("socketpair", pair)
    refused = _answer_all(syscalls.SERVERS, _REFUSE) + _answer_all(syscalls.CONNECT, _ERRNO | errno.ECONNREFUSED)
    return refused + _rule("socket", pair) + _rule("socketpair", pair)


def _pair() -> Code:
    connected = [(_AND, 0, 0, 0xF), *_when_in((_SOCK_STREAM, _SOCK_SEQPACKET), _ALLOW), *_then(_REFUSE)]
    return _argument(0) + _unless(_AF_UNIX, _REFUSE) + _argument(1) + connected


def _connections() -> Code:
    """Allow TCP sockets that connect, and nothing else: no servers, no datagrams, no protocol beside TCP.

    A message with MSG_FASTOPEN connects a socket, and Landlock does not see it.
    """
    stream = [*_argument(1), (_AND, 0, 0, 0xF), *_unless(_SOCK_STREAM, _REFUSE)]
    stream += _argument(2) + _when_in(_PROTOCOLS, _ALLOW) + _then(_REFUSE)
    inet = [step for family in (_AF_INET, _AF_INET6) for step in [(_JUMP_EQUAL, 0, len(stream), family), *stream]]
    code = _rule("socket", _argument(0) + _when(_AF_NETLINK, _ALLOW) + inet + _then(_REFUSE))
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        code += _rule(name, _argument(flags) + _when_any(_MSG_FASTOPEN, _REFUSE) + _then(_ALLOW))
    return code + _answer_all(syscalls.LISTENERS, _REFUSE)


def _processes(threads_only: bool) -> Code:
    fresh = _argument(0) + _when_any(_NEW_NAMESPACES, _REFUSE)
    if threads_only:
        fresh += _when_any(_CLONE_THREAD, _ALLOW) + _then(_REFUSE)
    # a filter cannot see the flags of clone3, which lie in memory; without it the C library uses clone
    code = _rule("clone", fresh + _then(_ALLOW)) + _rule("clone3", _then(_ERRNO | errno.ENOSYS))
    ours_to_set = _argument(1) + _when(0, _REFUSE) + _then(_ALLOW)  # the parent-death signal may not be cleared
    return code + _rule("prctl", _argument(0) + _unless(kernel.PR_SET_PDEATHSIG, _ALLOW) + ours_to_set)


def _files() -> Code:
    locks = _when_in(_F_SETLKS, _PRETEND) + _when_in(_F_GETLKS, _ERRNO | errno.EINVAL)
    fcntl = _argument(1) + locks + _when_in(_F_REFUSED, _REFUSE) + _then(_ALLOW)
    ioctl = _argument(1) + _when_in(_IOCTLS_REFUSED, _REFUSE) + _then(_ALLOW)
    return _rule("fcntl", fcntl) + _rule("ioctl", ioctl)


def _signals(protect: list[int] | None) -> Code:
    if protect is None:
        return []
    code = _rule("tkill", _then(_REFUSE))  # takes any thread; the C library uses tgkill
    for name in ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
        refused = [*protect, *([-1, *(-pid for pid in protect)] if name == "kill" else [])]
        code += _rule(name, _argument(0) + _when_in(refused, _REFUSE) + _then(_ALLOW))
    return code


def _foreign_settings(own_namespace: bool) -> Code:
    """Allow limits and priorities for the process itself only, unless no process outside is visible."""
    code: Code = []
    if not own_namespace:
        own = _argument(0) + _unless(0, _REFUSE) + _then(_ALLOW)
        for name in ("prlimit64", "sched_setscheduler", "sched_setparam", "sched_setattr", "move_pages"):
            code += _rule(name, own)
    # cores belong to the slot, but libraries expect to be able to bind threads
    others = [] if own_namespace else _argument(0) + _unless(0, _REFUSE)
    code += _rule("sched_setaffinity", others + _then(_PRETEND))
    for name, one_process in (("setpriority", 0), ("ioprio_set", 1)):
        itself = _argument(0) + _unless(one_process, _REFUSE) + _argument(1) + _unless(0, _REFUSE)
        code += _rule(name, itself + _then(_ALLOW))
    return code


def _answer_all(table: dict[str, tuple[int, int]], action: int) -> Code:
    return _when_in([number(name) for name in table if number(name) >= 0], action)


def _rule(name: str, body: Code) -> Code:
    """Return the rule for one system call; `body` must end in an answer."""
    return [(_JUMP_EQUAL, 0, len(body), number(name)), *body]


def _argument(index: int) -> Code:
    return [(_LOAD, 0, 0, 16 + 8 * index)]  # the low half: all inspected arguments are 32 bits wide


def _when(value: int, action: int) -> Code:
    return [(_JUMP_EQUAL, 0, 1, value & 0xFFFFFFFF), (_RETURN, 0, 0, action)]


def _when_in(values: Iterable[int], action: int) -> Code:
    return [step for value in values for step in _when(value, action)]


def _when_any(bits: int, action: int) -> Code:
    return [(_JUMP_ANY_BIT, 0, 1, bits), (_RETURN, 0, 0, action)]


def _unless(value: int, action: int) -> Code:
    return [(_JUMP_EQUAL, 1, 0, value & 0xFFFFFFFF), (_RETURN, 0, 0, action)]


def _then(action: int) -> Code:
    return [(_RETURN, 0, 0, action)]
