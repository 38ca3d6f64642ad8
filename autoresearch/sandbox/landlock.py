"""Landlock: an allow-list of files and TCP ports, and no signals or abstract sockets out of the cell.

Works without privileges from Linux 5.13 on, also in containers. Older versions cover less (`truncate` from ABI 3, TCP
from 4, device ioctls from 5, signals and abstract sockets from 6); seccomp.py covers the rest. Landlock never mediates
stat(2), nor chmod and utime of own files; for the latter see seccomp.py as well.
"""

import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress

from autoresearch.sandbox import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446  # on every processor
_EXECUTE, _WRITE, _READ, _LIST = 1, 2, 4, 8
_MAKE_DEVICES = 1 << 6 | 1 << 11
_BIND_TCP, _CONNECT_TCP = 1, 2
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL

OWN_PROCESS = ("maps", "stat", "statm", "status", "cmdline", "cgroup", "mountinfo", "mounts", "limits", "auxv", "fd")

LISTING = _LIST  # folders, without reading their files
READING = _EXECUTE | _READ | _LIST  # and executing files, and all files below folders
DEVICES = _WRITE | _READ | _LIST | _TRUNCATE | _IOCTL
WRITING = ~(_MAKE_DEVICES | _IOCTL)  # everything in folders except to make devices


def version() -> int:
    """Return the kernel's Landlock ABI; 0 without Landlock."""
    try:
        return kernel.call("syscall", _CREATE, None, 0, 1)
    except OSError:
        return 0


class Rules:
    """Set of Landlock rules. Paths that do not exist or cannot be reached are skipped."""

    def __init__(self, abi: int, restrict_tcp: bool) -> None:
        self.handled = (1 << (13 + (abi >= 2) + (abi >= 3))) - 1 | (_IOCTL if abi >= 5 else 0)
        self.tcp = _BIND_TCP | _CONNECT_TCP if abi >= 4 and restrict_tcp else 0
        scopes = 3 if abi >= 6 else 0
        size = 8 if abi < 4 else 16 if abi < 6 else 24
        attributes = struct.pack("QQQ", self.handled, self.tcp, scopes)
        self.fd = kernel.call("syscall", _CREATE, attributes, size, 0)

    def allow(self, access: int, paths: Iterable[str]) -> None:
        """Allow LISTING, READING, WRITING or DEVICES for files, or for folders and all below them."""
        for path in paths:
            with suppress(OSError):
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
                try:
                    self._add(fd, access)
                finally:
                    os.close(fd)

    def allow_own_process(self, gpu: bool) -> None:
        """Allow a process to read about itself, but not where its pages lie (pagemap), and to name its threads.

        cuInit names its threads by files that it opens to read and write; without that it fails with error 304. The
        descriptors stay open past exec on purpose: they keep the inodes to which the rules refer.
        """
        for name in OWN_PROCESS:
            self._allow_for_ever(f"/proc/self/{name}", READING)
        self._allow_for_ever("/proc/self/task", _LIST | _WRITE | _TRUNCATE | (_READ if gpu else 0))

    def _allow_for_ever(self, path: str, access: int) -> None:
        with suppress(OSError):
            fd = os.open(path, os.O_PATH)
            self._add(fd, access)
            os.set_inheritable(fd, True)

    def allow_connecting(self, ports: Iterable[int]) -> None:
        """Allow connections to TCP ports, at any address."""
        for port in ports if self.tcp else ():
            kernel.call("syscall", _ADD, self.fd, 2, struct.pack("QQ", _CONNECT_TCP, port), 0)

    def enforce(self) -> None:
        """Apply the rules to this process and its children. Raises OSError."""
        kernel.call("syscall", _RESTRICT, self.fd, 0)
        os.close(self.fd)

    def _add(self, fd: int, access: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _ON_FILES
        kernel.call("syscall", _ADD, self.fd, 1, struct.pack("=Qi", access & self.handled, fd), 0)
