"""Capped log of a cell: a memory file that the supervisor writes and the program reads.

Bytes 0 to 7 hold the number of bytes written in all. `limit` bytes follow: the first half holds the beginning of the
log, the second half is a ring buffer with its end. A flood costs no memory and no disk.
"""

import os
import struct

from autoresearch.text import clean

HEADER_BYTES = 8


class LogFile:
    """Reader of the log. `fd` goes to the supervisor, whose own stderr starts after the header."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.fd = os.memfd_create("log", os.MFD_CLOEXEC)
        os.lseek(self.fd, HEADER_BYTES, os.SEEK_SET)
        self._final: str | None = None

    def text(self) -> str:
        """Return the log so far, cleaned; the middle of a long one is cut out."""
        return clean(self._read()) if self._final is None else self._final

    def close(self) -> None:
        """Free the memory file; `text` still returns the log."""
        if self._final is None:
            self._final = self.text()
            os.close(self.fd)

    def _read(self) -> bytes:
        (total,) = struct.unpack("Q", os.pread(self.fd, HEADER_BYTES, 0).ljust(HEADER_BYTES, b"\0"))
        data = os.pread(self.fd, self.limit, HEADER_BYTES)
        if total <= self.limit:
            return data
        half = self.limit // 2
        ring = data[half:]
        seam = (total - half) % len(ring)
        note = f"\n[... {total - self.limit} bytes cut ...]\n".encode()
        return data[:half] + note + ring[seam:] + ring[:seam]


class LogWriter:
    """Writer of the log, in the supervisor."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd, self.limit = fd, limit
        self.total = 0

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while len(view):
            position, room = self._position()
            written = os.pwrite(self.fd, view[:room], HEADER_BYTES + position)
            self.total += written
            view = view[written:]
        os.pwrite(self.fd, struct.pack("Q", self.total), 0)

    def _position(self) -> tuple[int, int]:
        """Return the position of the next byte, and how many bytes fit there in one piece."""
        half = self.limit // 2
        if self.total < half:
            return self.total, half - self.total
        position = half + (self.total - half) % (self.limit - half)
        return position, self.limit - position
