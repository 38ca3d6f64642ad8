"""Messages and sealed memory between the referee and a cell.

A channel is a SEQPACKET socket: each datagram is one JSON object, with descriptors beside it. The far end is
untrusted: receiving is bounded in bytes and descriptors, never unpickles, and raises `Closed` for everything that is
not a well-formed message.
"""

import array
import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

MAX_MESSAGE_BYTES = 1 << 16
MAX_SOURCE_BYTES = 1 << 20  # of a train.py
FDS_FROM_REFEREE = 250  # the kernel's own limit is 253
FDS_FROM_CELL = 1

F_ADD_SEALS, F_GET_SEALS = 1033, 1034
SEAL_SEAL, SEAL_SHRINK, SEAL_GROW, SEAL_WRITE = 1, 2, 4, 8
ALL_SEALS = SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_WRITE

Fields = dict[str, Any]  # of a message: a JSON object


class Closed(Exception):
    """The far end has closed the channel, or has sent something that is not a message."""


@dataclass(frozen=True)
class Message:
    """One message, and the descriptors that came with it, which the receiver must close."""

    kind: str
    fields: Fields = field(default_factory=dict)
    fds: tuple[int, ...] = ()

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)


@dataclass
class Channel:
    """One end of a channel; `receive_fds` is the largest number of descriptors with a message."""

    sock: socket.socket
    receive_fds: int = FDS_FROM_CELL

    @classmethod
    def pair(cls) -> tuple["Channel", socket.socket]:
        """Return our end, and the socket for the cell."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(ours), theirs

    def send(self, kind: str, fds: Sequence[int] = (), *, timeout_s: float = 5.0, **fields: object) -> None:
        """Send one message. Raises Closed if the far end is closed or does not read for `timeout_s`."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        data = json.dumps({"kind": kind, **fields}, allow_nan=True).encode()
        try:
            self.sock.settimeout(timeout_s)
            self.sock.sendmsg([data], rights)
        except OSError as error:
            raise Closed(str(error)) from None

    def receive(self, timeout: float | None = None) -> Message | None:
        """Return the next message; None if none comes within `timeout` seconds. Raises Closed."""
        self.sock.settimeout(None if timeout is None else max(timeout, 1e-4))
        space = socket.CMSG_SPACE(self.receive_fds * array.array("i").itemsize)
        try:
            data, ancillary, flags, _ = self.sock.recvmsg(MAX_MESSAGE_BYTES, space, socket.MSG_CMSG_CLOEXEC)
        except TimeoutError:
            return None
        except OSError as error:
            raise Closed(str(error)) from None
        fds = list(_descriptors(ancillary))
        try:
            return _parse(data, flags, fds)
        except ValueError as error:
            for fd in fds:
                with contextlib.suppress(OSError):
                    os.close(fd)
            raise Closed(str(error)) from None

    def close(self) -> None:
        self.sock.close()


def _descriptors(ancillary: Iterable[tuple[int, int, bytes]]) -> Iterable[int]:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
            yield from numbers


def _parse(data: bytes, flags: int, fds: Sequence[int]) -> Message:
    if not data:
        raise ValueError("closed")
    if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
        raise ValueError("message too large")
    try:
        fields = json.loads(data)
    except RecursionError:
        raise ValueError("message too deep") from None
    if not isinstance(fields, dict) or not isinstance(fields.get("kind"), str):
        raise ValueError("not a message")
    return Message(fields.pop("kind"), fields, tuple(fds))


def create(name: str) -> int:
    """Return an empty memory file that can be sealed later."""
    return os.memfd_create(name, os.MFD_ALLOW_SEALING | os.MFD_CLOEXEC)


def write_parts(fd: int, parts: Iterable[bytes | memoryview]) -> None:
    """Write parts one after the other over what a file holds; each is written before the next one is made.

    Writing costs half the time of filling a map of the file, whose pages the kernel would clear first.
    """
    os.lseek(fd, 0, os.SEEK_SET)
    for part in parts:
        view = memoryview(part).cast("B")
        while len(view):
            view = view[os.write(fd, view[: 1 << 30]) :]
    os.ftruncate(fd, os.lseek(fd, 0, os.SEEK_CUR))


def seal_file(fd: int) -> None:
    """Seal a memory file: nobody can change it any more."""
    fcntl.fcntl(fd, F_ADD_SEALS, ALL_SEALS)


def seal(name: str, data: bytes | memoryview) -> int:
    """Return a memory file that holds `data` and cannot be changed any more."""
    fd = create(name)
    write_parts(fd, [data])
    seal_file(fd)
    return fd


def create_writable(name: str, size: int) -> int:
    """Return a memory file that a cell can fill but not resize (to read a shrunk map would be a SIGBUS)."""
    fd = create(name)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, F_ADD_SEALS, SEAL_SEAL | SEAL_SHRINK | SEAL_GROW)
    return fd


def is_sealed(fd: int, limit: int) -> bool:
    """Return whether `fd` is a memory file with every seal set and at most `limit` bytes."""
    try:  # EINVAL for everything but a memory file
        return fcntl.fcntl(fd, F_GET_SEALS) & ALL_SEALS == ALL_SEALS and os.fstat(fd).st_size <= limit
    except OSError:
        return False
