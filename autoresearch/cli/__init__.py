"""The command line: thin commands that parse, call and print. stdout is data, stderr is talk.

A command imports what it needs when it runs, so that `--help` takes a third of the time.
"""

# ruff: noqa: I001, F401  (the order of the imports is the order of `--help`)

import sys
from collections.abc import Callable

from autoresearch.cli import trial_command, plan_command, run_command, steer_commands, look_commands, page_commands
from autoresearch.cli import verify_commands, keep_commands  # all of them add their commands to `app`
from autoresearch.cli.app import app
from autoresearch.errors import UserError, as_user_error

__all__ = ["app", "exit_code", "main"]


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
        known = error if isinstance(error, UserError) else as_user_error(error)
        if known is None:
            raise
        print(f"autoresearch: {known}", file=sys.stderr)
        return known.exit_code
    except KeyboardInterrupt:
        return 130
    return 0
