"""CPU time of all processes of a cell, read from outside."""

import os

from autoresearch.sandbox.cleanup import family, stat_fields

UTIME, CHILDREN_UTIME = 11, 13  # in /proc/PID/stat after the name; the system's time is after each
TICKS = os.sysconf("SC_CLK_TCK")


def seconds_below(supervisor: int) -> float:
    """Return the CPU seconds of what runs below a process, and of all that has ended and was waited for."""
    ticks = sum(_ticks(pid, UTIME) + _ticks(pid, CHILDREN_UTIME) for pid in family(supervisor))
    return (ticks + _ticks(supervisor, CHILDREN_UTIME)) / TICKS


def _ticks(pid: int, field: int) -> int:
    fields = stat_fields(str(pid))
    return int(fields[field]) + int(fields[field + 1]) if fields else 0
