"""Remove what a cell leaves behind: process trees, its folder, files and IPC objects of its user.

No pathlib here: to import it costs every cell 8 ms.
"""

import fcntl
import itertools
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from autoresearch.sandbox import kernel
from autoresearch.sandbox.layers import CELL_UIDS

SHARED_FOLDERS = ("/dev/shm", "/dev/mqueue", "/tmp", "/var/tmp")
CELL_PREFIX, ENDED_PREFIX = "autoresearch-cell-", "autoresearch-ended-"  # of the folders of living and of dead cells
LEFTOVER = re.compile(f"({CELL_PREFIX}|{ENDED_PREFIX})[a-z0-9_]{{8}}")
LEFTOVER_AGE_S = 60.0  # a younger one may not be held yet
MAX_ENTRIES = 20_000  # of a folder that are read at once
FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def kill_below(root: int) -> None:
    """Stop every process below `root` until no new one is found (a stopped one cannot fork), then kill all."""
    seen: set[int] = set()
    while new := set(family(root)) - seen:
        for pid in new:
            signal_quietly(pid, signal.SIGSTOP)
        seen |= new
    for pid in seen:
        signal_quietly(pid, signal.SIGKILL)


def signal_quietly(pid: int, number: int) -> None:
    """Send a signal to a process that may be dead."""
    with suppress(OSError):
        os.kill(pid, number)


def stat_fields(process: str) -> list[bytes]:
    """Return the fields after the name in /proc/PROCESS/stat; none if the process, or thread, is gone."""
    try:
        with open(f"/proc/{process}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()
    except OSError:
        return []


def descendants(root: int) -> list[int]:
    """Return all processes below `root`, from one pass over /proc."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (fields := stat_fields(entry.name)):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    return _all_below(root, lambda pid: children.get(pid, []))


def family(root: int) -> list[int]:
    """Return processes below `root`, much faster than a pass over /proc; some that begin meanwhile may lack."""
    if not os.path.exists(f"/proc/{root}/task/{root}/children"):  # noqa: PTH110
        return descendants(root)
    return _all_below(root, _children)


def _all_below(root: int, children: Callable[[int], list[int]]) -> list[int]:
    found, todo = [], [root]
    while todo:
        below = children(todo.pop())
        found += below
        todo += below
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):  # it may be gone
        for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def hold(folder: str) -> int:
    """Return a descriptor that keeps others from removing a cell's folder while this process lives."""
    fd = os.open(folder, FOLDER_FLAGS)
    fcntl.flock(fd, fcntl.LOCK_SH)
    return fd


def set_aside(folder: str) -> str:
    """Rename the folder of a dead cell, and return its new path; nothing happens if it is gone."""
    parent, _, name = folder.rpartition("/")
    aside = f"{parent}/{ENDED_PREFIX}{name.removeprefix(CELL_PREFIX)}"
    with suppress(OSError):
        os.rename(folder, aside)  # noqa: PTH104
    return aside


def clean(folder: str, uid: int | None) -> None:
    """Remove a cell's folder, what its user left elsewhere, and what supervisors that were killed have left."""
    lower_priority()
    with suppress(OSError):
        wipe(folder)
    if uid is not None:
        clear_user(uid)
    remove_leftovers(folder.rpartition("/")[0])


def lower_priority() -> None:
    """Yield to every other process: removing a large folder must not disturb a trial."""
    with suppress(OSError):
        os.nice(19)


def remove_leftovers(parent: str, min_age_s: float = LEFTOVER_AGE_S) -> None:
    """Remove the folders of cells whose owner and supervisor are dead: nobody holds them."""
    with suppress(OSError):
        for entry in list(os.scandir(parent)):
            if LEFTOVER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):
                    _remove_leftover(entry.path, min_age_s)


def _remove_leftover(folder: str, min_age_s: float) -> None:
    fd = os.open(folder, FOLDER_FLAGS)
    try:
        status = os.fstat(fd)
        is_ours = status.st_uid == os.geteuid() or (os.geteuid() == 0 and status.st_uid in CELL_UIDS)
        if is_ours and time.time() - status.st_ctime > min_age_s:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError: somebody holds it
            wipe(folder)
    finally:
        os.close(fd)


def wipe(root: str) -> None:
    """Remove a hostile folder, whose folders may be locked, nested too deeply for a path, or many.

    Folders are moved up before they are emptied, so that no path is longer than two names. No link is followed.
    """
    fd = _open_folder(root)
    try:
        names = (f".{os.getpid()}.{k}" for k in itertools.count())
        while found := _some_entries(fd):
            for name, is_folder in found:
                if not is_folder:
                    os.unlink(name, dir_fd=fd)
                elif not _is_removed(name, fd):
                    _empty(name, fd, names)
                    os.rmdir(name, dir_fd=fd)
    finally:
        os.close(fd)
    os.rmdir(root)  # noqa: PTH106


def _empty(folder: str, root: int, names: Iterator[str]) -> None:
    """Remove the files in a folder of `root`, and move its folders to `root`."""
    fd = _open_folder(folder, root)
    try:
        while found := _some_entries(fd):
            for name, is_folder in found:
                if not is_folder:
                    os.unlink(name, dir_fd=fd)
                elif not _is_removed(name, fd):
                    _move(name, fd, next(names), root)
    finally:
        os.close(fd)


def _is_removed(name: str, parent: int) -> bool:
    """Remove a folder that is empty, as most of many are."""
    try:
        os.rmdir(name, dir_fd=parent)
    except OSError:
        return False
    return True


def _some_entries(fd: int) -> list[tuple[str, bool]]:
    """Return the first names in a folder, each with whether it is a folder: all of them could fill the memory."""
    with os.scandir(fd) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in itertools.islice(entries, MAX_ENTRIES)]


def _open_folder(name: str, parent: int | None = None) -> int:
    try:
        fd = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    except PermissionError:  # of a user: root may read everything
        os.chmod(name, 0o700, dir_fd=parent)
        fd = os.open(name, FOLDER_FLAGS, dir_fd=parent)
    os.fchmod(fd, 0o700)
    return fd


def _move(name: str, parent: int, new: str, root: int) -> None:
    try:
        os.rename(name, new, src_dir_fd=parent, dst_dir_fd=root)
    except PermissionError:  # of a user who may not write to the folder, which has the name of its parent inside
        os.chmod(name, 0o700, dir_fd=parent)
        os.rename(name, new, src_dir_fd=parent, dst_dir_fd=root)


def clear_user(uid: int) -> None:
    """Remove everything that the user of one cell left in shared places."""
    for folder in SHARED_FOLDERS:
        with suppress(OSError):
            for entry in list(os.scandir(folder)):
                if entry.stat(follow_symlinks=False).st_uid == uid:
                    remove(entry)
    for kind, function in (("shm", "shmctl"), ("sem", "semctl"), ("msg", "msgctl")):
        with suppress(OSError), open(f"/proc/sysvipc/{kind}") as file:
            names = file.readline().split()
            for line in file:
                values = dict(zip(names, line.split(), strict=False))
                if int(values["uid"]) == uid:
                    with suppress(OSError):
                        kernel.remove_ipc(function, int(values[f"{kind}id"]))


def remove(entry: "os.DirEntry[str]") -> None:
    """Remove a file, or a folder with its content."""
    if entry.is_dir(follow_symlinks=False):
        wipe(entry.path)
    else:
        os.unlink(entry.path)  # noqa: PTH108
