"""Read a corpus, the user's files or Python's library, without exact duplicates."""

import glob
import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoresearch.data import stdlib
from autoresearch.errors import UsageError, UserError

SUFFIXES = (".txt", ".md", ".py", ".jsonl", ".parquet")
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
    skipped: int  # documents that contain a NUL or are not UTF-8
    library_root: Path | None = None
    library: list[str] | None = None
    grade_note: str | None = None  # reason why val and holdout cannot be hidden


def find_files(globs: str) -> list[str]:
    """Find the text files that match comma-separated globs; a folder stands for all below it.

    Returns absolute paths. Raises UserError if a glob matches nothing, UsageError if there is no glob.
    """
    paths: set[str] = set()
    for pattern in filter(None, map(str.strip, globs.split(","))):
        path = Path(pattern).expanduser()
        hits = glob.glob(str(path / "**" if path.is_dir() else path), recursive=True)  # noqa: PTH207
        files = {str(Path(hit).absolute()) for hit in hits if hit.endswith(SUFFIXES) and Path(hit).is_file()}
        if not files:
            kinds = " ".join(SUFFIXES)
            raise UserError(f"no file matches {pattern!r} and ends in one of {kinds}: check the path")
        paths |= files
    if not paths:
        raise UsageError("the source files: needs a path or a glob, such as 'files:~/notes/**'")
    return sorted(paths)


def read_file(path: str) -> tuple[list[bytes], int]:
    """Return the documents of one file, and the number of those that are no text.

    A .jsonl file has a document on each line, a .parquet file in each row; other files are one document.
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
    """Return the size of files in bytes. Raises UserError if memory cannot hold it twice."""
    size = sum(Path(path).stat().st_size * (4 if path.endswith(".parquet") else 1) for path in paths)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if 2 * size > memory:
        have, need = f"{memory / 1e9:.0f} GB", f"{2 * size / 1e9:.0f} GB"
        raise UserError(f"this corpus needs about {need} of memory, only {have} are available: use fewer files")
    return size


def from_files(paths: list[str], texts: list[bytes], skipped: int) -> Corpus:
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
        skipped=skipped,
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
    for file, text in texts.items():
        if _is_text(text) and text.strip():
            owners.setdefault(digest(text), []).append(file)
    return Corpus(
        documents={digest: texts[files[0]] for digest, files in owners.items()},
        free=_find_free(root, texts, owners),
        duplicates=sum(len(files) - 1 for files in owners.values()),
        skipped=sum(not _is_text(text) for text in texts.values()),
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


def _is_text(raw: bytes) -> bool:
    with suppress(UnicodeDecodeError):
        return "\0" not in raw.decode()
    return False


def _read_jsonl(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield json.loads(line)["text"].encode("utf-8", "surrogatepass")
                except (ValueError, TypeError, KeyError, AttributeError):
                    message = 'not a JSON object with a string in the field "text"'
                    raise UserError(f"{path}:{number}: {message}") from None


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
        raise UserError(f'{path}: no column "text" that can be read ({error})'.splitlines()[0]) from None
    return [value for value in values if value is not None]


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
