"""Commands that verify: doctor."""

from pathlib import Path

import typer
from rich.console import Console

from autoresearch import checkup, start
from autoresearch.cli.app import JSON, RUN, app, print_json
from autoresearch.errors import UserError
from autoresearch.measure.cell import protect_self
from autoresearch.review import consistency
from autoresearch.views.doctor import print_differences, print_findings


@app.command(rich_help_panel=RUN)
def doctor(
    ledger: bool = typer.Option(False, "--ledger", help="Check instead that ledger, git and artefacts agree."),
    device: str = typer.Option(None, help="As for `run`: auto, cpu or cuda."),
    budget: str = typer.Option(None, help="As for `run`: 5m, 300s, 15cpu, 200steps."),
    agent: str = typer.Option(None, help="As for `run`."),
    hours: float = typer.Option(8.0, min=0, help="How long the night is."),
    as_json: bool = JSON,
) -> None:
    """What works here, what is missing, what is protected, and how many experiments a night gives.

    Trains nothing and changes nothing. Exit code 3 where something stands in the way of `run`.
    With --ledger: exit code 1 where something does not agree.
    """
    if ledger:
        _doctor_ledger(as_json)
        return
    protect_self()
    findings = checkup.examine(Path.cwd(), {"device": device, "budget": budget, "agent": agent}, hours)
    if as_json:
        print_json(findings.as_json())
    else:
        print_findings(findings, Console())
    if findings.blocked:
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
