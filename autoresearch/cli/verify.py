"""Commands that verify: doctor."""

from pathlib import Path

import typer
from rich.console import Console

from autoresearch import checkup, start
from autoresearch.cli.app import app, print_json
from autoresearch.errors import UserError
from autoresearch.measure.cell import protect_self
from autoresearch.review import consistency
from autoresearch.views.doctor import print_checks, print_differences


@app.command()
def doctor(
    ledger: bool = typer.Option(False, "--ledger", help="Check instead that ledger, git and artefacts agree."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """What works here, what is missing, what is protected, and how many experiments a night gives.

    Exit code 3 where something stands in the way; with --ledger, 1 where something does not agree.
    """
    if ledger:
        _doctor_ledger(as_json)
        return
    protect_self()
    checks, inspection, night = checkup.examine(Path.cwd())
    if as_json:
        print_json(checkup.as_json(checks, inspection, night))
    else:
        print_checks(checks, night, Console())
    if any(check.level == "blocker" for check in checks):
        raise typer.Exit(3)


def _doctor_ledger(as_json: bool) -> None:
    root = start.repository()
    if not (root / "runs" / "ledger.db").exists():
        raise UserError("there is no ledger yet: start a session with `autoresearch run`")
    differences = consistency.check(root)
    if as_json:
        print_json([vars(difference) for difference in differences])
    else:
        print_differences(differences, Console())
    if differences:
        raise typer.Exit(1)
