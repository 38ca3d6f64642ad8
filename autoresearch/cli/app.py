"""The typer application that the commands are added to."""

import json
from typing import Any

import typer

from autoresearch import __version__

app = typer.Typer(
    help="Machine-learning research on one GPU while you sleep.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def options(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show it.")) -> None:
    """Options of every command."""


def print_json(value: Any) -> None:
    """Data for other programs."""
    typer.echo(json.dumps(value, indent=1))
