"""Whether the process that works on a session still lives."""

import zlib
from pathlib import Path

import psutil

from autoresearch.errors import UserError
from autoresearch.ledger.rows import Session

BOOT = Path("/proc/sys/kernel/random/boot_id")


def born(pid: int) -> float | None:
    """The birth mark of a process, which no other process has; None if it is gone, or dead and only not buried yet.

    The time since boot when it was started (centiseconds), and before the point which boot that was. The time of day
    would not do: a clock that is set moves the births of all processes.
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
    """Whether the process that wrote its number into the session is still the one with that number."""
    return session.pid is not None and session.pid_started is not None and born(session.pid) == session.pid_started


def check_free(session: Session) -> None:
    """Raises UserError where a process works on the session."""
    if is_alive(session):
        raise UserError(
            f"session `{session.tag}` is running already (process {session.pid}): see `autoresearch status`"
        )


def state(session: Session) -> str:
    """running, paused, ended, or interrupted: not ended, but nobody works on it."""
    return session.state if session.state == "ended" or is_alive(session) else "interrupted"
