"""Whether the process that works on a session still lives."""

import psutil

from autoresearch.ledger.rows import Session

SAME_BIRTH = 2.0  # s by which two readings of one process's birth may differ: the clock was set meanwhile


def born(pid: int) -> float | None:
    """When a process started (unix seconds); None if it is gone, or dead and only not buried yet."""
    try:
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    except psutil.NoSuchProcess:
        return None


def is_alive(session: Session) -> bool:
    """Whether the process that wrote its number into the session is still the one with that number."""
    if session.pid is None or session.pid_started is None:
        return False
    now = born(session.pid)
    return now is not None and abs(now - session.pid_started) < SAME_BIRTH


def state(session: Session) -> str:
    """running, paused, ended, or interrupted: not ended, but nobody works on it."""
    return session.state if session.state == "ended" or is_alive(session) else "interrupted"
