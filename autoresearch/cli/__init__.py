"""The command line: thin commands that parse, call and print. stdout is data, stderr is talk.

What a command needs it imports when it runs: `--help` is there in a third of the time.
"""

# ruff: noqa: I001  (the order of the imports is the order of `--help`)

import sys

from autoresearch.cli import trial, run, steer, look, pages, verify  # noqa: F401  (they add their commands to `app`)
from autoresearch.cli.app import app
from autoresearch.errors import UserError

__all__ = ["app", "main"]


def main() -> None:
    """Run the command line; errors that a user can mend are one line and an exit code."""
    try:
        app()
    except UserError as error:
        print(f"autoresearch: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
