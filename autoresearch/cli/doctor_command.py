"""The command `doctor`."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, MAX_HOURS, RUN, app, describe_missing_ledger, examples, print_json
from autoresearch.errors import UserError

if TYPE_CHECKING:
    from autoresearch.session.preview import Preview


@app.command(
    rich_help_panel=RUN, epilog=examples("autoresearch doctor", "autoresearch doctor --agent claude --hours 10")
)
def doctor(
    ledger: bool = typer.Option(False, "--ledger", help="Only check that ledger, git and artefacts agree."),
    device: str = typer.Option(None, help="As for `run`: auto, cpu or cuda."),
    budget: str = typer.Option(None, help="As for `run`: 5m, 300s, 15cpu, 200steps."),
    agent: str = typer.Option(None, help="As for `run`; implies --rehearse."),
    hours: float = typer.Option(8.0, min=0, max=MAX_HOURS, help="Length of the session to forecast."),
    rehearse: bool = typer.Option(
        None, "--rehearse/--no-rehearse", help="Ask the agent for one change, which is not trained."
    ),
    as_json: bool = JSON,
) -> None:
    """Check the machine, the project and the protection of scores, and forecast the experiments of a session.

    Trains nothing and changes nothing. Exit code 3 if `run` cannot work here.
    A rehearsal first shows what the agent is told, as `brief` does.
    With --ledger: exit code 1 if ledger, git and artefacts do not agree.
    """
    if ledger:
        _doctor_ledger(as_json)
        return
    from autoresearch import doctor
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.terminal.doctor import print_findings

    protect_self()
    flags = {"device": device, "budget": budget, "agent": agent}
    rehearse = agent is not None if rehearse is None else rehearse
    told = _preview(flags) if rehearse else None
    findings = doctor.examine(Path.cwd(), flags, hours, rehearse, told.brief if told else None)
    if as_json:
        print_json(findings.as_json() | {"brief": told.text if told else None})
    else:
        if told is not None:
            _print_told(told)
        print_findings(findings, Console())
    if findings.is_blocked:
        raise typer.Exit(3)


def _preview(flags: Mapping[str, object]) -> "Preview | None":
    """Return what the agent is told; None where it cannot be: the checks then say why."""
    from autoresearch.session.preview import preview
    from autoresearch.setup.project import repository

    with suppress(UserError):
        return preview(repository(), flags)
    return None


def _print_told(told: "Preview") -> None:
    from autoresearch.report.blocks import Code, Heading
    from autoresearch.terminal.console import print_blocks, print_line

    for line in told.missing:
        print_line(line)
    print_blocks([Heading("what the agent is told", 3), Code(told.text, "markdown"), Heading("checks", 3)], Console())


def _doctor_ledger(as_json: bool) -> None:
    from autoresearch.analysis import consistency
    from autoresearch.setup import project
    from autoresearch.terminal.doctor import print_differences

    root = project.repository()
    if not (root / "runs" / "ledger.db").exists():
        raise describe_missing_ledger(root)
    differences = consistency.check(root)
    if as_json:
        print_json([vars(difference) for difference in differences])
    else:
        print_differences(differences, Console())
    if differences:
        raise typer.Exit(1)
