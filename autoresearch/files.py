"""Write files atomically, and read JSON files that may be damaged."""

import codecs
import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from autoresearch.errors import UserError, as_user_error

FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
FILE_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

JsonObject = dict[str, Any]
T = TypeVar("T")


class MissingFileError(ValueError):
    """There is no such file."""


def write_atomically(path: Path, pieces: Iterable[str]) -> Path:
    """Write a file as a whole or not at all. Raises UserError if that fails."""
    target = resolve_links(path)
    partial = target.with_name(f".{target.name}.new")

    def write() -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", errors="replace") as file:
            file.writelines(pieces)
        if target.exists():
            shutil.copymode(target, partial)
        partial.replace(target)
        return path

    try:
        return retry_if_deleted(write) if isinstance(pieces, list) else write()
    except OSError as error:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise as_user_error(name_folder(error, target)) or UserError(
            f"{path} cannot be written: {error.strerror}"
        ) from None


def name_folder(error: OSError, path: Path) -> OSError:
    """Return an error of writing `path`, about the nearest folder that is there, in place of a file that is not."""
    folder = next(each for each in path.absolute().parents if os.path.isdir(each))  # noqa: PTH112  (raises nothing)
    return OSError(error.errno, error.strerror, str(folder))


def retry_if_deleted(write: Callable[[], T]) -> T:
    """Call a function that makes a folder and writes into it; once more if the folder is deleted meanwhile."""
    try:
        return write()
    except FileNotFoundError:
        return write()


def resolve_links(path: Path) -> Path:
    """Return the file behind symbolic links. Raises UserError for a device, a pipe or a folder."""
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113  (Path.exists raises for long names)
        raise UserError(f"{path} is not a file, and would be replaced by one: choose another name")
    return Path(os.path.realpath(path))


def read_text(path: Path) -> str | None:
    """Return the text that a person wrote: UTF-8, or UTF-16 with a byte order mark; None if there is no file.

    Bytes that are no text are replaced. Raises OSError if the file is there and cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    encoding = "utf-16" if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    return content.decode(encoding, "replace").replace("\r\n", "\n").replace("\r", "\n")


def short_hash(value: object, chars: int = 8) -> str:
    """Return the beginning of the SHA-256 of a value as JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:chars]


def read_json(path: Path) -> JsonObject | None:
    """Return the JSON object in a file; None if it cannot be read."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_untrusted(root: Path, name: str, max_bytes: int) -> bytes:
    """Read a plain file below `root`, where an untrusted program wrote, without following links in its path.

    Raises ValueError, which says what is wrong, for anything else, and for a larger file.
    """
    *folders, last = Path(name).parts
    opened = list[int]()
    try:
        at = -1
        for part in [str(root), *folders]:
            at = os.open(part, FOLDER_FLAGS, dir_fd=at if opened else None)
            opened.append(at)
        opened.append(os.open(last, FILE_FLAGS, dir_fd=at))
        status = os.fstat(opened[-1])
        if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            raise ValueError(f"{name} is no plain file any more")
        if status.st_size > max_bytes:
            raise ValueError(f"{name} has {status.st_size} bytes: at most {max_bytes} are read")
        return os.pread(opened[-1], max_bytes, 0)
    except FileNotFoundError:
        raise MissingFileError(f"{name} is gone") from None
    except OSError:
        raise ValueError(f"{name} is no plain file any more") from None
    finally:
        for fd in opened:
            os.close(fd)


def measure_size(folder: Path) -> int:
    """Return the bytes that a folder takes on the disk."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # SQLite removes its temporary files at any time
                total += 512 * os.lstat(f"{parent}/{name}").st_blocks
    return total
