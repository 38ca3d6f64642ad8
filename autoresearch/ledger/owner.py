"""Check whether the process that works on a session is alive."""

import zlib
from pathlib import Path

import psutil

from autoresearch.errors import UserError
from autoresearch.ledger.rows import Session

BOOT = Path("/proc/sys/kernel/random/boot_id")


def birth_mark(pid: int) -> float | None:
    """Return a number that only this process has; None if it is dead or a zombie.

    Process ids are reused. Before the point: the time of its start since boot (centiseconds); behind it: a checksum
    of the boot's id. The time of day would not do: setting the clock moves the start times of all processes.
    """
    try:
        if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return None
        ticks = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (psutil.NoSuchProcess, OSError):
        return None
    boot = BOOT.read_bytes() if BOOT.exists() else b""
    return ticks + zlib.crc32(boot) / 2**32


def is_alive(session: Session) -> bool:
    """Return whether the process that wrote its id into the session still runs."""
    return (
        session.pid is not None and session.pid_started is not None and birth_mark(session.pid) == session.pid_started
    )


def check_free(session: Session) -> None:
    """Raise UserError if a process works on the session."""
    if session.state != "ended" and is_alive(session):
        raise UserError(
            f"session `{session.tag}` is running already (process {session.pid}): see `autoresearch status`"
        )


def state(session: Session) -> str:
    """Return running, paused, ended, or interrupted: not ended, but without a process."""
    return session.state if session.state == "ended" or is_alive(session) else "interrupted"
