"""The command line: thin commands that parse, call and print. stdout is data, stderr is talk.

A command imports what it needs when it runs, so that `--help` takes a third of the time.
"""

# ruff: noqa: I001, F401  (each module adds its commands to `app`: the order of the imports is that of `--help`)

import errno
import sys
from pathlib import Path
from collections.abc import Callable

from autoresearch.cli import (
    init_command,
    attack_command,
    demo_command,
    doctor_command,
    prepare_command,
    plan_command,
    trial_command,
    run_command,
    steer_commands,
    look_commands,
    compare_command,
    brief_command,
    lessons_command,
    page_commands,
    advice_command,
    session_commands,
    nodes_command,
    verify_commands,
    keep_commands,
    judge_command,
)
from autoresearch.cli.app import app
from autoresearch.errors import MachineError, UserError, as_user_error

__all__ = ["app", "exit_code", "main"]


ODD_PLACES = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EISDIR)
MAX_PATH_CHARS = 200


def main() -> None:
    from autoresearch.terminal.standard_streams import prepare_streams

    prepare_streams()
    sys.exit(exit_code(app))


def exit_code(command: Callable[[], object]) -> int:
    """Run a command and return its exit code; print one line for an error that a user can fix."""
    try:
        try:
            command()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # who reads the data has seen enough
        return 1
    except (UserError, OSError, MemoryError) as error:
        known = error if isinstance(error, UserError) else as_user_error(error) or _odd_place(error)
        if known is None:
            raise
        goes_on = sys.argv[1:2] == ["run"]
        line = known.in_session if goes_on and isinstance(known, MachineError) else known
        print(f"autoresearch: {line}", file=sys.stderr)
        return known.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def _odd_place(error: OSError | MemoryError) -> UserError | None:
    """Return the error of a path that the user named, or of a current folder that is gone; None for others."""
    if isinstance(error, OSError) and error.errno in ODD_PLACES and error.filename is not None:
        return UserError(f"{str(error.filename)[:MAX_PATH_CHARS]}: {error.strerror}: check this path")
    try:
        Path.cwd()
    except FileNotFoundError:
        return UserError("the current folder is gone: change to another one")
    return None
