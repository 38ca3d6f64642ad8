"""Errors that a user can cause or fix: each is one clear line and an exit code.

UserError            1  something went wrong and the line says what to do
  UsageError         2  the command was called wrongly
  Blocker            3  this machine, data set or repository cannot do it yet; `doctor` explains
  MachineError       1  this machine failed: the line says how to mend it, and to repeat the command or to go on
"""

import errno
import importlib.util
import shlex
import sys
import traceback
from typing import TypeVar

T = TypeVar("T")

ADVICE = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EROFS: "mount it for writing",
    errno.EACCES: "change its owner or its mode",
    errno.EPERM: "change its owner or its mode",
    errno.EIO: "see what the kernel reports about the disk (`dmesg`)",
    errno.EMFILE: "raise the limit (`ulimit -n 4096`)",
    errno.ENFILE: "end programs that hold many open files",
    errno.EAGAIN: "end programs that have many processes",
    errno.ENOMEM: "end what uses so much of it",
}  # by error number
EXHAUSTED = (errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM)
MAX_TRACEBACK_CHARS = 20_000
REPEAT_HINT = "then repeat the command"
RESUME_HINT = "then `autoresearch run` goes on where it was"


class UserError(Exception):
    """One line that says what is wrong and what to do about it; `exit_code` is that of the command."""

    exit_code = 1


class UsageError(UserError):
    """Error in the command line or the configuration."""

    exit_code = 2


class Blocker(UserError):
    """Obstacle that `autoresearch doctor` explains."""

    exit_code = 3


class MachineError(UserError):
    """Fault of this machine, with what mends it."""

    def __str__(self) -> str:
        return f"{super().__str__()}, {REPEAT_HINT}"

    @property
    def in_session(self) -> str:
        """Return the line for a session, which goes on when it is mended."""
        return f"{super().__str__()}, {RESUME_HINT}"


def as_user_error(error: OSError | MemoryError) -> MachineError | None:
    """Return an error of the machine with its remedy; None if no user can fix it."""
    if isinstance(error, MemoryError):
        return MachineError(f"out of memory: {ADVICE[errno.ENOMEM]}")
    if error.errno not in ADVICE:
        return None
    where = f"{error.filename}: " if error.filename else ""
    return MachineError(f"{where}{error.strerror}: {ADVICE[error.errno]}")


def describe_install(*words: str) -> str:
    """Return the command that installs packages beside this program, in backticks; tools of uv come without pip."""
    has_pip = importlib.util.find_spec("pip") is not None
    python = shlex.quote(sys.executable)
    command = f"{python} -m pip install" if has_pip else f"uv pip install --python {python}"
    return f"`{command} {shlex.join(words)}`"


def describe_error(error: Exception) -> str:
    """Return the line that `run` prints for an error, else its class and text."""
    known = as_user_error(error) if isinstance(error, (OSError, MemoryError)) else error
    if isinstance(known, MachineError):
        return known.in_session
    return str(known) if isinstance(known, UserError) else f"the program failed: {type(error).__name__}: {error}"


def is_unexpected(error: Exception) -> bool:
    """Return whether an error is a fault of this program: no user can fix it, and no machine causes it."""
    if isinstance(error, (OSError, MemoryError)):
        return as_user_error(error) is None
    return not isinstance(error, UserError)


def describe_failure(error: Exception) -> str:
    """Return class and place of an unexpected error, without its text, which may quote validation data."""
    frames = traceback.extract_tb(error.__traceback__, -1)
    return f"the program failed on it: {type(error).__name__}" + (f" in {frames[-1].name}()" if frames else "")


def format_traceback(error: Exception) -> str:
    """Return the end of the traceback of an error."""
    return "".join(traceback.format_exception(error))[-MAX_TRACEBACK_CHARS:]


def require(value: T | None) -> T:
    """Return a value that cannot be None here, by the state of its experiment."""
    assert value is not None
    return value
