"""Read the documents of one file: their encoding, and the fields of tables."""

import codecs
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from autoresearch.data import omissions
from autoresearch.data.omissions import Omissions
from autoresearch.errors import UserError, describe_install

FIELD = "text"
HEAD_BYTES = 1 << 16  # of a file, in which zero bytes show that it is no text
MAX_FIELDS = 8  # named in an error
_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True)
class Documents:
    """Documents of one file, UTF-8 without a byte order mark, and what was left out."""

    texts: list[bytes]
    left_out: Omissions


def read_file(path: str) -> Documents:
    """Read a file: UTF-8, or UTF-16 and UTF-32 with a byte order mark.

    A .jsonl file has a document on each line, a .parquet file in each row; other files are one document.
    Raises UserError for a malformed line or table.
    """
    suffix, texts, left_out = path.lower(), list[bytes](), Omissions()
    if suffix.endswith(".jsonl"):
        found: Iterable[bytes | str] = _read_jsonl(path)
    elif suffix.endswith(".parquet"):
        found = _read_parquet(path)
    else:
        found = [_read_plain(path)]
    for text in found:
        reason = text if isinstance(text, str) else find_fault(text)
        if reason is not None:
            left_out.add(reason, path)
        elif isinstance(text, bytes):
            texts.append(text)
    return Documents(texts, left_out)


def find_fault(text: bytes) -> str | None:
    """Return the reason why a document is left out, or None."""
    if b"\0" in text:
        return omissions.BINARY
    try:
        text.decode()
    except UnicodeDecodeError:
        return omissions.NOT_UTF8
    return None if text.strip() else omissions.EMPTY


def _read_plain(path: str) -> bytes | str:
    """Return the text of a file as UTF-8, or the reason why it is left out."""
    with open(path, "rb") as file:
        head = file.read(HEAD_BYTES)
        mark, encoding = _find_mark(head)
        if not mark and b"\0" in head:
            return omissions.BINARY
        text = head[len(mark) :] + file.read()
    if encoding == "utf-8":
        return text
    with suppress(UnicodeDecodeError):
        return text.decode(encoding).encode()
    return omissions.NOT_UTF8


def _find_mark(head: bytes) -> tuple[bytes, str]:
    """Return the byte order mark at the start of a file, and the encoding that it stands for."""
    return next(((mark, encoding) for mark, encoding in _MARKS if head.startswith(mark)), (b"", "utf-8"))


def _read_jsonl(path: str) -> Iterator[bytes]:
    for number, line in enumerate(_lines(path), 1):
        if line.strip():
            yield _text_of(line, f"{path}:{number}").encode("utf-8", "surrogatepass")


def _lines(path: str) -> Iterator[bytes | str]:
    """Yield the lines of a file, decoded if it has the byte order mark of another encoding than UTF-8."""
    with open(path, "rb") as file:
        mark, encoding = _find_mark(file.read(4))
        file.seek(len(mark))
        if encoding == "utf-8":
            yield from file
            return
    with open(path, encoding=encoding, newline="\n") as decoded:
        decoded.read(1)  # the mark
        try:
            yield from decoded
        except UnicodeDecodeError:
            raise UserError(f"{path}: its byte order mark says {encoding}, its content is another encoding") from None


def _text_of(line: bytes | str, place: str) -> str:
    """Return the field `text` of a line of JSON. Raises UserError that names the fields."""
    wanted = f'not a JSON object with a string in the field "{FIELD}"'
    try:
        value: Any = json.loads(line)
    except UnicodeDecodeError:
        raise UserError(f"{place}: not UTF-8 text: convert the file, for example with `iconv`") from None
    except (ValueError, RecursionError):
        raise UserError(f"{place}: {wanted}") from None
    if not isinstance(value, dict):
        raise UserError(f"{place}: {wanted}")
    text = value.get(FIELD)
    if not isinstance(text, str):
        raise UserError(f"{place}: {wanted}: rename one of its fields ({_names(value)})")
    return text


def _names(fields: Iterable[object]) -> str:
    """Return names in quotes, cut to MAX_FIELDS."""
    names = [json.dumps(str(name)) for name in fields]
    return ", ".join([*names[:MAX_FIELDS], *(["..."] if len(names) > MAX_FIELDS else [])]) or "it has none"


def _read_parquet(path: str) -> list[bytes]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise UserError(f"{path}: needs pyarrow: {describe_install('pyarrow')}") from None
    try:
        columns = pyarrow.parquet.read_schema(path).names
        if FIELD not in columns:
            raise UserError(f'{path}: no column "{FIELD}": rename one of its columns ({_names(columns)})')
        column = pyarrow.parquet.read_table(path, columns=[FIELD]).column(FIELD)
        values: Iterable[bytes | None] = column.cast(pyarrow.large_binary()).to_pylist()
    except (pyarrow.ArrowException, KeyError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise UserError(f'{path}: no column "{FIELD}" that can be read ({error})'.splitlines()[0]) from None
    return [value for value in values if value is not None]
