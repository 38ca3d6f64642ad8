"""The typer application, and what all commands share."""

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

from autoresearch import __version__
from autoresearch.errors import Blocker, UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.ledger import Ledger, Session

MAX_HOURS = 100_000.0  # of a night to forecast: eleven years
RUN, LOOK, VERIFY = "Run", "Look", "Verify"  # groups of `--help`
JSON = typer.Option(False, "--json", help="Print JSON (docs/json.md).")
DEVICE = typer.Option(None, help="Device: auto, cpu or cuda.")
SLOTS = typer.Option(None, help="Slot to measure on: the number of a card, or of a group of cores; by default 0.")
WAIT = typer.Option(False, "--wait", help="Wait until the slot is free.")
TAG = typer.Option(None, help="Name of the session; by default the one that runs, or ran last.")


class _Command(TyperCommand):
    """A command whose help shows no type of its flags."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _hide_types(super().get_params(ctx))


class _Group(TyperGroup):
    """The program itself, likewise."""

    def get_params(self, ctx: Any) -> list[Any]:
        return _hide_types(super().get_params(ctx))


class _Application(typer.Typer):
    def command(self, *args: Any, **kwargs: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        return super().command(*args, **{"cls": _Command, **kwargs})


def _hide_types(params: list[Any]) -> list[Any]:
    """Let the help of a flag, which takes no value, show no type of value."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
    return params


app = _Application(
    cls=_Group,
    help="Machine-learning research on one GPU while you sleep.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def examples(*lines: str) -> str:
    """Return the examples at the end of the help of a command."""
    return "\n".join(["Examples:", *lines])


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Read the options of the program itself."""


def print_json(value: object) -> None:
    """Print JSON for other programs."""
    typer.echo(json.dumps(value, indent=1, allow_nan=False))


def print_code(text: str, language: str) -> None:
    """Print text byte for byte to a pipe, cleaned and coloured to a terminal."""
    from autoresearch.report.blocks import Code
    from autoresearch.terminal import pager

    if sys.stdout.isatty():
        pager.show([Code(text, language)])
    else:
        sys.stdout.write(text)


def warn_of_unread_settings() -> None:
    """Tell about variables and files that look like settings, and that nobody reads."""
    from autoresearch import config
    from autoresearch.setup.project import repository_or_here

    for line in config.find_unread(repository_or_here()):
        typer.echo(f"warning: {line}", err=True)


@contextmanager
def open_ledger(tag: str | None, readonly: bool = True) -> Iterator[tuple["Ledger", "Session"]]:
    """Open the ledger and find a session, by default the current one. Raises UserError."""
    from autoresearch import ledger
    from autoresearch.ledger.database import NO_SESSION
    from autoresearch.workspace import git

    path = git.top_folder(Path.cwd()) / "runs" / "ledger.db"
    try:
        opened = ledger.Ledger.open(path, readonly or not path.exists())  # never create one here
    except UserError as error:
        raise (describe_missing_ledger(path.parents[1]) if str(error) == NO_SESSION else error) from None
    with opened as store:
        session = store.find_session(tag) if tag is not None else ledger.current(store)
        if session is None:
            raise UserError(NO_SESSION)
        yield store, session


def describe_missing_ledger(root: Path) -> UserError:
    """Return the error for a repository without a ledger: no train.py, sessions that only git knows, or no session."""
    from autoresearch import config
    from autoresearch.ledger.database import NO_SESSION
    from autoresearch.workspace.git import GitError
    from autoresearch.workspace.workspace import Workspace

    with suppress(UsageError, GitError):
        try:
            tags = Workspace.of(root, config.load(root, {})).tags()
        except Blocker as error:  # no train.py, or none that is committed
            return error
        if tags:
            words = f"runs/ has no record of {', '.join(tags)}, of which git has the versions"
            return UserError(f"{words}: `autoresearch run --tag {tags[-1]}` goes on with that session")
    return UserError(NO_SESSION)
