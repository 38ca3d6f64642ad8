"""The command line: thin commands that parse, call and print. stdout is data, stderr is talk.

What a command needs it imports when it runs: `--help` is there in a third of the time.
"""

# ruff: noqa: I001, F401  (the order of the imports is the order of `--help`)

import sys
from collections.abc import Callable

from autoresearch.cli import (
    trial_command,
    plan_command,
    run_command,
    steer_commands,
    look_commands,
    page_commands,
    verify_commands,
    keep_commands,
)  # they add their commands to `app`
from autoresearch.cli.app import app
from autoresearch.errors import UserError, as_user_error

__all__ = ["app", "main", "told"]


def main() -> None:
    """Run the command line."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]  # where there is no UTF-8, ? for what is missing
    sys.exit(told(app))


def told(command: Callable[[], object]) -> int:
    """Run a command; errors that a user can mend are one line. Returns the exit code."""
    try:
        command()
    except UserError as error:
        return _said(error)
    except (OSError, MemoryError) as error:
        if (refused := as_user_error(error)) is None:
            raise
        return _said(refused)
    except KeyboardInterrupt:
        return 130
    return 0


def _said(error: UserError) -> int:
    print(f"autoresearch: {error}", file=sys.stderr)
    return error.exit_code
