"""Where text comes from: the user's files, or the source code of Python's own library.

A corpus is documents by the sha256 of their content, so that exact duplicates cannot survive.
"""

import glob
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from autoresearch.data import stdlib
from autoresearch.errors import UsageError, UserError

SUFFIXES = (".txt", ".md", ".py", ".jsonl", ".parquet")
LARGEST = 0.01  # of the corpus: larger documents are cut (files) or stay in train (library)
SMALLEST_CUT = 1024  # bytes

# Folders that a cell has to read: text below them cannot be hidden from training code.
_PLACES = ("/usr", "/lib", "/lib64", "/bin", "/sbin", "/opt", sys.prefix, sys.base_prefix)
READABLE = {Path(place).resolve() for place in _PLACES}


@dataclass(frozen=True)
class Corpus:
    """Documents by digest, and what must be known of them before some are held out.

    `free` has the digests that may be held out, with the library file that would have to be hidden (else "").
    `library` lists all library files if any of them may have to be hidden.
    """

    documents: dict[str, bytes]
    free: dict[str, str]
    duplicates: int
    skipped: int  # documents that hold a NUL or are not UTF-8
    library_root: Path | None = None
    library: list[str] | None = None
    grade_note: str | None = None  # why val and holdout cannot be hidden, if they cannot


def find_files(globs: str) -> list[str]:
    """Absolute paths of the text files that match globs separated by commas; a folder means all below it.

    Raises UserError if one of them matches nothing, UsageError if there is none.
    """
    found: set[str] = set()
    for pattern in filter(None, map(str.strip, globs.split(","))):
        path = Path(pattern).expanduser()
        hits = glob.glob(str(path / "**" if path.is_dir() else path), recursive=True)  # noqa: PTH207
        files = {str(Path(hit).absolute()) for hit in hits if hit.endswith(SUFFIXES) and Path(hit).is_file()}
        if not files:
            kinds = " ".join(SUFFIXES)
            raise UserError(f"no file matches {pattern!r} and ends in one of {kinds}: check the path")
        found |= files
    if not found:
        raise UsageError("the source files: needs a path or a glob, such as 'files:~/notes/**'")
    return sorted(found)


def read_file(path: str) -> tuple[list[bytes], int]:
    """Documents of one file (all of it, or lines of .jsonl, or rows of .parquet), and how many are no text.

    Raises UserError for a malformed line or table.
    """
    if path.endswith(".jsonl"):
        texts = list(_read_jsonl(path))
    elif path.endswith(".parquet"):
        texts = _read_parquet(path)
    else:
        texts = [Path(path).read_bytes()]
    good = [text for text in texts if _is_text(text)]
    return [text for text in good if text.strip()], len(texts) - len(good)


def check_memory(paths: list[str]) -> int:
    """Size of some files in bytes; raises UserError if their text cannot be held in memory twice."""
    size = sum(Path(path).stat().st_size * (4 if path.endswith(".parquet") else 1) for path in paths)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * size > memory:
        have, need = f"{memory / 1e9:.0f} GB", f"{2 * size / 1e9:.0f} GB"
        raise UserError(f"this corpus needs about {need} of memory, there are {have}: name fewer files")
    return size


def from_files(paths: list[str], texts: list[bytes], skipped: int) -> Corpus:
    """The corpus of `texts`, read from `paths`. Long texts are cut, so that few make a corpus too."""
    limit = max(SMALLEST_CUT, int(LARGEST * sum(map(len, texts))))
    pieces = [piece for text in texts for piece in _cut(text, limit)]
    documents = {hashlib.sha256(piece).hexdigest(): piece for piece in pieces}
    exposed = next((path for path in paths if is_readable(Path(path))), None)
    note = f"training code can read {exposed}: val and holdout are not hidden from it"
    return Corpus(
        documents=documents,
        free=dict.fromkeys(documents, ""),
        duplicates=len(pieces) - len(documents),
        skipped=skipped,
        grade_note=note if exposed else None,
    )


def from_library(root: Path) -> Corpus:
    """The corpus of the Python library in `root`, one document for each file.

    A cell can read the files that Python and torch need, and other copies of a text: these are not free.
    """
    texts = {file: (root / file).read_bytes() for file in stdlib.library_files(root)}
    if len(texts) < stdlib.FEWEST_FREE:
        raise UserError(f"{root} holds only {len(texts)} source files: use the source files:GLOB")
    owners: dict[str, list[str]] = {}
    for file, text in texts.items():
        if _is_text(text) and text.strip():
            owners.setdefault(hashlib.sha256(text).hexdigest(), []).append(file)
    return Corpus(
        documents={digest: texts[files[0]] for digest, files in owners.items()},
        free=_free(root, texts, owners),
        duplicates=sum(len(files) - 1 for files in owners.values()),
        skipped=sum(not _is_text(text) for text in texts.values()),
        library_root=root,
        library=list(texts),
    )


def is_readable(path: Path) -> bool:
    """Does `path` lie in a folder that a cell has to read?"""
    return not READABLE.isdisjoint(path.resolve().parents)


def _free(root: Path, texts: dict[str, bytes], owners: dict[str, list[str]]) -> dict[str, str]:
    needed = stdlib.needed_files(root, texts)
    largest = LARGEST * sum(len(texts[files[0]]) for files in owners.values())
    alone = {files[0]: digest for digest, files in owners.items() if len(files) == 1}
    small = {file for file in alone.keys() - needed if len(texts[file]) <= largest}
    copied = stdlib.copied_elsewhere({file: texts[file] for file in small})
    return {alone[file]: file for file in small - copied}


def _is_text(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in raw


def _read_jsonl(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line)["text"].encode("utf-8", "surrogatepass")
                except (ValueError, TypeError, KeyError, AttributeError):
                    why = 'not a JSON object with a string in the field "text"'
                    raise UserError(f"{path}:{number}: {why}") from None


def _read_parquet(path: str) -> list[bytes]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path}: needs pyarrow: pip install 'autoresearch[parquet]'") from None
    try:
        column = pyarrow.parquet.read_table(path, columns=["text"]).column("text")
        values: Iterable[bytes | None] = column.cast(pyarrow.large_binary()).to_pylist()
    except (pyarrow.ArrowException, KeyError) as error:
        raise UserError(f'{path}: no column "text" to be read ({error})'.splitlines()[0]) from None
    return [value for value in values if value is not None]


def _cut(text: bytes, limit: int) -> Iterator[bytes]:
    """Pieces of at most `limit` bytes, cut after a line where possible, never inside a character."""
    start = 0
    while len(text) - start > limit:
        end = text.rfind(b"\n", start + limit // 2, start + limit) + 1 or start + limit
        while text[end] & 0xC0 == 0x80:
            end -= 1
        yield text[start:end]
        start = end
    yield text[start:]
