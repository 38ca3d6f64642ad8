"""The capped log of a cell: a memory file that the supervisor fills and the program reads.

Bytes 0 to 7 say how much was written in all; then comes room for `limit` bytes: the first half holds the
beginning of the log, the second half is a ring with its end. A flood costs no memory and no disk.
"""

import os
import struct

from autoresearch.text import clean

HEADER = 8


class LogFile:
    """The reader's side. `fd` is what the supervisor gets; its own stderr starts after the header."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.fd = os.memfd_create("log", os.MFD_CLOEXEC)
        os.lseek(self.fd, HEADER, os.SEEK_SET)
        self._final: str | None = None

    def text(self) -> str:
        """The log so far, cleaned; the middle of a long one is cut out."""
        return clean(self._read()) if self._final is None else self._final

    def close(self) -> None:
        """Free the memory file; `text` goes on answering."""
        if self._final is None:
            self._final = self.text()
            os.close(self.fd)

    def _read(self) -> bytes:
        (total,) = struct.unpack("Q", os.pread(self.fd, HEADER, 0).ljust(HEADER, b"\0"))
        data = os.pread(self.fd, self.limit, HEADER)
        if total <= self.limit:
            return data
        half = self.limit // 2
        ring = data[half:]
        seam = (total - half) % len(ring)
        note = f"\n[... {total - self.limit} bytes cut ...]\n".encode()
        return data[:half] + note + ring[seam:] + ring[:seam]


class LogWriter:
    """The supervisor's side."""

    def __init__(self, fd: int, limit: int) -> None:
        self.fd, self.limit = fd, limit
        self.total = 0

    def write(self, data: bytes) -> None:
        """Append `data`."""
        view = memoryview(data)
        while len(view):
            place, room = self._place()
            written = os.pwrite(self.fd, view[:room], HEADER + place)
            self.total += written
            view = view[written:]
        os.pwrite(self.fd, struct.pack("Q", self.total), 0)

    def _place(self) -> tuple[int, int]:
        """Where the next byte goes, and how many fit there in one piece."""
        half = self.limit // 2
        if self.total < half:
            return self.total, half - self.total
        place = half + (self.total - half) % (self.limit - half)
        return place, self.limit - place
