"""Count the parameters of a checkpoint so that none can hide in its text, or inside wider numbers."""

import os

from autoresearch.measure.safetensors_header import count_parameters

FREE_TEXT_BYTES = 1 << 16  # of the header: names, shapes and the config of an ordinary model
BYTES_PER_PARAMETER = 4  # a float32


def count(fd: int) -> int:
    """Return the parameters of the checkpoint in a sealed file, whose bytes may be anything."""
    size = os.fstat(fd).st_size
    header = min(8 + int.from_bytes(os.pread(fd, 8, 0), "little"), size)
    return charge(count_parameters(fd), header, size)


def charge(elements: int | None, header_bytes: int, file_bytes: int) -> int:
    """Return the parameters that count for a file.

    They are the elements of its tensors, or as many as there would be if all bytes after the header were float32,
    whichever is more, and one for each byte of the header beyond 64 KiB. Without tensors that can be read (`elements`
    None), each byte of the file is one.
    """
    if elements is None:
        return file_bytes
    numbers = -(-(file_bytes - header_bytes) // BYTES_PER_PARAMETER)
    return max(elements, numbers) + max(0, header_bytes - FREE_TEXT_BYTES)
