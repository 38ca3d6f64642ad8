"""Landlock: an allow-list of files, no TCP, and no signals or abstract sockets across the border of the cell.

Works without privileges from Linux 5.13 on, also in containers. Older versions of it cover less
(`truncate` from ABI 3, TCP from 4, device ioctls from 5, signals and abstract sockets from 6), and seccomp.py
makes up for that. What it never mediates is stat(2), and chmod or utime of one's own files, for which see
there as well.
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
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL
_READABLE = _EXECUTE | _READ | _LIST
_USABLE = _WRITE | _READ | _LIST | _TRUNCATE | _IOCTL
_NAMEABLE = _READABLE | _WRITE | _TRUNCATE


def version() -> int:
    """The kernel's Landlock ABI; 0 without Landlock."""
    try:
        return kernel.call("syscall", _CREATE, None, 0, 1)
    except OSError:
        return 0


class Rules:
    """A set of rules in the making. Paths that do not exist, or cannot be reached, are passed over."""

    def __init__(self, abi: int, network: bool) -> None:
        self.handled = (1 << (13 + (abi >= 2) + (abi >= 3))) - 1 | (_IOCTL if abi >= 5 else 0)
        tcp = 3 if abi >= 4 and not network else 0
        scopes = 3 if abi >= 6 else 0
        size = 8 if abi < 4 else 16 if abi < 6 else 24
        attributes = struct.pack("QQQ", self.handled, tcp, scopes)
        self.fd = kernel.call("syscall", _CREATE, attributes, size, 0)

    def readable(self, paths: Iterable[str]) -> None:
        """Files, and folders with all below them, to read and execute."""
        self._allow_all(paths, _READABLE)

    def listable(self, paths: Iterable[str]) -> None:
        """Folders whose names may be listed, their files unread."""
        self._allow_all(paths, _LIST)

    def writable(self, paths: Iterable[str]) -> None:
        """Folders to do anything in, but make devices."""
        self._allow_all(paths, self.handled & ~(_MAKE_DEVICES | _IOCTL))

    def usable(self, paths: Iterable[str]) -> None:
        """Devices."""
        self._allow_all(paths, _USABLE)

    def own_threads(self) -> None:
        """Threads may be named, which CUDA does, and fails if it cannot (cuInit: error 304).

        The descriptor stays open past exec on purpose: it keeps the folder's inode, which the rule is about.
        """
        with suppress(OSError):
            fd = os.open("/proc/self/task", os.O_PATH)
            self._add(fd, _NAMEABLE)
            os.set_inheritable(fd, True)

    def enforce(self) -> None:
        """From now on, for this process and its children. Raises OSError."""
        kernel.call("syscall", _RESTRICT, self.fd, 0)
        os.close(self.fd)

    def _allow_all(self, paths: Iterable[str], access: int) -> None:
        for path in paths:
            with suppress(OSError):
                fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
                try:
                    self._add(fd, access)
                finally:
                    os.close(fd)

    def _add(self, fd: int, access: int) -> None:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            access &= _ON_FILES
        kernel.call("syscall", _ADD, self.fd, 1, struct.pack("=Qi", access & self.handled, fd), 0)
