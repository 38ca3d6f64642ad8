"""Search the files that a cell can read for lines of val and holdout.

Text is found in plain files and in the constants of compiled Python files without a source. Compressed or encoded
copies, and copies with other line breaks, are not found.
"""

import importlib.util
import marshal
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType

from autoresearch.data.dataset import Dataset

MIN_LINE_BYTES = 41
MAX_TOKENS = 2_000_000  # of each split, whose documents are in random order
MAX_SHARE = 0.002  # of the lines may be found before the grade is WEAK
MAX_FILE_BYTES = 16 << 20  # searched in one file
PYC_HEADER_BYTES = 16

_NEVER_TEXT = {
    *(".a", ".bc", ".bin", ".bmp", ".br", ".bz2", ".class", ".dat", ".db", ".exe", ".gif", ".gz", ".ico", ".jar"),
    *(".jmod", ".jpeg", ".jpg", ".jsa", ".ko", ".lz4", ".mo", ".node", ".npy", ".npz", ".o", ".otf", ".parquet"),
    *(".pdf", ".png", ".pt", ".rlib", ".safetensors", ".so", ".sqlite", ".sym", ".ttf", ".wasm", ".webp", ".whl"),
    *(".woff", ".woff2", ".xz", ".zip", ".zst"),
}
_NO_TREES = ("/proc", "/sys", "/dev")


@dataclass(frozen=True)
class Exposure:
    """Result of a search: how many distinct long lines of val and holdout were found, and in which file first."""

    lines: int
    found: int
    example: str | None
    searched_bytes: int
    is_complete: bool

    @property
    def note(self) -> str | None:
        """Return the reason for grade WEAK, or None."""
        if self.found <= MAX_SHARE * self.lines:
            return None
        return f"training code can read {self}: remove that copy, or use another source"

    def __str__(self) -> str:
        share = f"{self.found:,} of {self.lines:,} lines of val and holdout"
        return f"{share}, the first in {self.example}" if self.found else share


def held_out_lines(data: Dataset) -> set[bytes]:
    """Return the long lines of val and holdout, without the blanks around them."""
    lines: set[bytes] = set()
    for split in ("val", "holdout"):
        rows = data.rows(split)[: MAX_TOKENS // data.seq_len]
        lines.update(_long_lines(data.decode(rows[:, 1:].ravel(), separator=b"\n")))
    return lines


def search(
    lines: set[bytes], readable: Sequence[str], seconds: float, on_progress: Callable[[int], None] = lambda size: None
) -> Exposure:
    """Search files and trees, Python's packages first, for at most `seconds`; `on_progress` gets the bytes done."""
    deadline = time.monotonic() + seconds
    found: set[bytes] = set()
    example, size = None, 0
    for path in files(sorted(readable, key=lambda root: "-packages" not in root)):
        if time.monotonic() > deadline:
            return Exposure(len(lines), len(found), example, size, is_complete=False)
        raw = _read(path)
        hits = lines.intersection(_constants(raw) if path.endswith(".pyc") else _long_lines(raw))
        example = example or (path if hits else None)
        found |= hits
        size += len(raw)
        on_progress(size)
    return Exposure(len(lines), len(found), example, size, is_complete=True)


def files(roots: Iterable[str]) -> Iterator[str]:
    """Yield each file below the roots that may hold text, once."""
    done: set[str] = set()
    for root in map(os.path.realpath, roots):
        if os.path.isfile(root):  # noqa: PTH113
            yield from _candidates("", [root])
        elif not root.startswith(_NO_TREES):
            for folder, folders, names in os.walk(root):
                folders[:] = [name for name in folders if os.path.join(folder, name) not in done]  # noqa: PTH118
                if folder not in done:
                    yield from _candidates(folder, names)
            done.add(root)


def _candidates(folder: str, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        path = f"{folder}/{name}" if folder else name
        suffix = os.path.splitext(name)[1]  # noqa: PTH122
        if suffix not in _NEVER_TEXT and not (suffix == ".pyc" and _has_source(path)):
            yield path


def _has_source(path: str) -> bool:
    try:
        return Path(importlib.util.source_from_cache(path)).exists()
    except ValueError:  # not in __pycache__
        return Path(path[:-1]).exists()


def _read(path: str) -> bytes:
    """Return the content of a regular file that is text or compiled Python, else nothing."""
    try:
        if os.path.islink(path) or not os.path.isfile(path):  # noqa: PTH113, PTH114
            return b""
        with open(path, "rb") as file:
            head = file.read(4096)
            is_text = b"\0" not in head or path.endswith(".pyc")
            return head + file.read(MAX_FILE_BYTES) if is_text else b""
    except OSError:
        return b""


def _long_lines(raw: bytes) -> Iterable[bytes]:
    return (line for line in map(bytes.strip, raw.splitlines()) if len(line) >= MIN_LINE_BYTES)


def _constants(raw: bytes) -> Iterator[bytes]:
    """Yield the long lines of all strings in a compiled file; those of another Python are read as plain bytes."""
    if raw[:4] != importlib.util.MAGIC_NUMBER:
        yield from _long_lines(raw)
        return
    try:
        todo: list[object] = [marshal.loads(raw[PYC_HEADER_BYTES:])]
    except (ValueError, EOFError, TypeError):
        return
    while todo:
        constant = todo.pop()
        if isinstance(constant, CodeType):
            todo += constant.co_consts
        elif isinstance(constant, tuple | frozenset):
            todo += constant
        elif isinstance(constant, str):
            yield from _long_lines(constant.encode(errors="surrogatepass"))
        elif isinstance(constant, bytes):
            yield from _long_lines(constant)
