"""Read a corpus, the user's files or Python's library, without exact duplicates."""

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from autoresearch.data import stdlib
from autoresearch.data.documents import find_fault
from autoresearch.data.omissions import Omissions
from autoresearch.errors import UserError

MAX_DOCUMENT_SHARE = 0.01  # of the corpus: larger documents are split (files) or stay in train (library)
MIN_SPLIT_BYTES = 1024

# Folders that a cell has to read: text below them cannot be hidden from training code.
_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", sys.prefix, sys.base_prefix)
READABLE = {Path(folder).resolve() for folder in _FOLDERS}


@dataclass(frozen=True)
class Corpus:
    """Documents by the SHA-256 of their content, and which of them may be held out.

    `free` has the digests that may be held out, each with the library file to hide (else "").
    `library` lists all library files if any of them may have to be hidden.
    """

    documents: dict[str, bytes]
    free: dict[str, str]
    duplicates: int
    left_out: Omissions = field(default_factory=Omissions)
    library_root: Path | None = None
    library: list[str] | None = None
    grade_note: str | None = None  # reason why val and holdout cannot be hidden


def check_memory(paths: list[str]) -> int:
    """Return the size of files in bytes. Raises UserError if memory cannot hold it twice."""
    size = sum(Path(path).stat().st_size * (4 if path.lower().endswith(".parquet") else 1) for path in paths)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * size > memory:
        have, need = f"{memory / 1e9:.0f} GB", f"{2 * size / 1e9:.0f} GB"
        raise UserError(f"this corpus needs about {need} of memory, only {have} are available: use fewer files")
    return size


def from_files(paths: list[str], texts: list[bytes], left_out: Omissions) -> Corpus:
    """Build the corpus of `texts`, read from `paths`. Long texts are split."""
    limit = max(MIN_SPLIT_BYTES, int(MAX_DOCUMENT_SHARE * sum(map(len, texts))))
    pieces = [piece for text in texts for piece in _split(text, limit)]
    documents = {digest(piece): piece for piece in pieces}
    exposed = next((path for path in paths if is_readable(Path(path))), None)
    note = f"training code can read {exposed}: val and holdout are not hidden from it"
    return Corpus(
        documents=documents,
        free=dict.fromkeys(documents, ""),
        duplicates=len(pieces) - len(documents),
        left_out=left_out,
        grade_note=note if exposed else None,
    )


def from_library(root: Path) -> Corpus:
    """Build the corpus of the Python library in `root`, one document for each file.

    Files that Python and torch need, or that have copies elsewhere, are not free: a cell can read them.
    """
    texts = {file: (root / file).read_bytes() for file in stdlib.library_files(root)}
    if len(texts) < stdlib.FEWEST_FREE:
        raise UserError(f"{root} holds only {len(texts)} source files: use the source files:GLOB")
    owners: dict[str, list[str]] = {}
    left_out = Omissions()
    for file, text in texts.items():
        if (fault := find_fault(text)) is None:
            owners.setdefault(digest(text), []).append(file)
        else:
            left_out.add(fault, file)
    return Corpus(
        documents={digest: texts[files[0]] for digest, files in owners.items()},
        free=_find_free(root, texts, owners),
        duplicates=sum(len(files) - 1 for files in owners.values()),
        left_out=left_out,
        library_root=root,
        library=list(texts),
    )


def digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def is_readable(path: Path) -> bool:
    """Return True if `path` is in a folder that a cell has to read."""
    return not READABLE.isdisjoint(path.resolve().parents)


def _find_free(root: Path, texts: dict[str, bytes], owners: dict[str, list[str]]) -> dict[str, str]:
    needed = stdlib.needed_files(root, texts)
    limit = MAX_DOCUMENT_SHARE * sum(len(texts[files[0]]) for files in owners.values())
    unique = {files[0]: digest for digest, files in owners.items() if len(files) == 1}
    small = {file for file in unique.keys() - needed if len(texts[file]) <= limit}
    copied = stdlib.copied_elsewhere({file: texts[file] for file in small})
    return {unique[file]: file for file in small - copied}


def _split(text: bytes, limit: int) -> Iterator[bytes]:
    """Split into pieces of at most `limit` bytes, at a line end if possible."""
    start = 0
    while len(text) - start > limit:
        end = text.rfind(b"\n", start + limit // 2, start + limit) + 1 or start + limit
        while text[end] & 0xC0 == 0x80:  # inside a character
            end -= 1
        yield text[start:end]
        start = end
    yield text[start:]
