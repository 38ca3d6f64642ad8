"""Errors that a user can cause or mend: each is one clear line and an exit code.

UserError            1  something went wrong and the line says what to do
  UsageError         2  the command was called wrongly
  Blocker            3  this machine, data set or repository cannot do it yet; `doctor` explains
"""

import errno
from typing import TypeVar

T = TypeVar("T")

ADVICE = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EROFS: "mount it for writing",
    errno.EACCES: "make it yours",
    errno.EPERM: "make it yours",
    errno.EIO: "see what the kernel says of the disk (`dmesg`)",
    errno.EMFILE: "allow more (`ulimit -n 4096`)",
    errno.ENFILE: "end what has them open",
    errno.EAGAIN: "end what has so many processes",
    errno.ENOMEM: "end what uses so much of it",
}  # for what a machine refuses to any program
EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
GOES_ON = "then `autoresearch run` goes on where it was"


class UserError(Exception):
    """One line that says what is wrong and what to do about it."""

    exit_code = 1


class UsageError(UserError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class Blocker(UserError):
    """Something that `autoresearch doctor` explains stands in the way."""

    exit_code = 3


def refusal(error: OSError | MemoryError) -> UserError | None:
    """What the machine refused, as one line; None for an error that no user can mend."""
    if isinstance(error, MemoryError):
        return UserError(f"out of memory: {ADVICE[errno.ENOMEM]}, {GOES_ON}")
    if error.errno not in ADVICE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return UserError(f"{where}{error.strerror}: {ADVICE[error.errno]}, {GOES_ON}")


def in_words(error: Exception) -> str:
    """Why a session cannot go on: as the command line says it, else by the error's own name."""
    known = refusal(error) if isinstance(error, (OSError, MemoryError)) else error
    return str(known) if isinstance(known, UserError) else f"the program failed: {type(error).__name__}: {error}"


def require(value: T | None) -> T:
    """A value that the state of its experiment guarantees."""
    assert value is not None
    return value
