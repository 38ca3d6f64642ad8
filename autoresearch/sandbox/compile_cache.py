"""Compile caches: copies of what one cell compiled, for others. They are copied here, never read.

Two are passed on, and each cell gets a copy of its own:

    the base's   to every later cell of a session, for the base is the human's code
    a trial's    to the cells that score it, as it is before the training text arrives (docs/honest-score.md)

A cell may be hostile, and still run: no link is followed, and only regular files are copied.
"""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from autoresearch.sandbox import cleanup
from autoresearch.sandbox.held_folder import held_folder

FOLDERS = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton", "CUDA_CACHE_PATH": "cuda"}
MAX_BYTES = 4 << 30
MAX_FILES = 100_000  # and folders
MAX_DEPTH = 16  # folders below each other; deeper ones are left out
CHUNK_BYTES = 1 << 20
NOTHING = "nothing was compiled"


class _TooLargeError(Exception):
    pass


def copy_into(tmp: Path, store: Path, uid: int | None = None) -> None:
    """Copy the kept caches, if there are any, into a cell's private folder, before its own program runs.

    Files of both stay as they are there. `uid` is the user of the cell, if it has been started.
    """
    for name in FOLDERS.values():
        for parent, _, names in os.walk(store / name):
            target = tmp / Path(parent).relative_to(store)
            target.mkdir(parents=True, exist_ok=True)
            missing = [each for each in names if not (target / each).exists()]
            for each in missing:
                shutil.copy(Path(parent, each), target / each)
            if uid is not None:
                for path in (target, *(target / each for each in missing)):
                    os.chown(path, uid, uid)


def keep(tmp: Path, store: Path) -> str | None:
    """Replace `store` by a copy of the caches in a cell's private folder; return why not if that fails."""
    partial = store.with_name(f"{store.name}.{os.getpid()}")
    try:
        files = _copy_all(tmp, partial)
        if files:
            shutil.rmtree(store, ignore_errors=True)
            partial.rename(store)
        return None if files else NOTHING
    except _TooLargeError as error:
        return str(error)
    except OSError as error:
        return f"it could not be copied: {error}"
    finally:
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def temporary_store() -> Iterator[Path | None]:
    """Yield the path of a store that is removed at the end, None if no folder can be made.

    If this program is killed, the folder is removed with that of a later cell.
    """
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(held_folder())
        except OSError:
            folder = None
        yield folder and folder / "caches"


def _copy_all(tmp: Path, target: Path) -> int:
    """Copy the regular files of all caches; return their number. Raises OSError, _TooLargeError."""
    files, entries, left = 0, 0, MAX_BYTES
    top = os.open(tmp, cleanup.FOLDER_FLAGS)
    try:
        for name in FOLDERS.values():
            for folder, path in _walk(top, Path(name), MAX_DEPTH):
                entries += 1
                if entries > MAX_FILES:
                    raise _TooLargeError(f"it has over {MAX_FILES} files")
                size = _copy_file(folder, path.name, target / path, left)
                files, left = files + (size is not None), left - (size or 0)
    finally:
        os.close(top)
    return files


def _walk(parent: int, path: Path, depth: int) -> Iterator[tuple[int, Path]]:
    """Yield what is in a folder and below, each with a descriptor of its own folder.

    What is renamed, or replaced by a link or a pipe meanwhile, leads nowhere else.
    """
    try:
        folder = os.open(path.name, cleanup.FOLDER_FLAGS, dir_fd=parent)
    except OSError:  # no folder, or not ours to read
        return
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield folder, path / entry.name
                if depth and entry.is_dir(follow_symlinks=False):
                    yield from _walk(folder, path / entry.name, depth - 1)
    finally:
        os.close(folder)


def _copy_file(folder: int, name: str, target: Path, limit: int) -> int | None:
    """Copy a file of a folder; return its size, None if it is not a regular file. Raises OSError, _TooLargeError."""
    try:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:  # a link, a socket, or gone
        return None
    try:
        status = os.fstat(fd)
        return _copy_bytes(fd, target, status.st_mode, limit) if stat.S_ISREG(status.st_mode) else None
    finally:
        os.close(fd)


def _copy_bytes(fd: int, target: Path, mode: int, limit: int) -> int:
    """Copy a file, which may grow meanwhile; return its size. Raises OSError, _TooLargeError."""
    target.parent.mkdir(parents=True, exist_ok=True)
    size = 0
    with target.open("wb") as copy:
        while chunk := os.read(fd, CHUNK_BYTES):
            size += len(chunk)
            if size > limit:
                raise _TooLargeError("it has over 4 GiB")
            copy.write(chunk)
    target.chmod(stat.S_IMODE(mode) & 0o777 | 0o600)
    return size
