"""The part of `init` for a repository that has a command of its own: ask, measure, attack, write."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autoresearch.cli.attack_command import NOT_ATTACKED, run_attacks
from autoresearch.cli.trial_steps import open_trials
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.setup.calibration import Calibration
    from autoresearch.setup.evaluator_check import AttackReport
    from autoresearch.setup.triplet import Number, Triplet
    from autoresearch.setup.triplet_project import ProposedProject

HOURS = 8.0  # of a night


def has_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def choose_triplet(found: Sequence["Triplet"], yes: bool) -> "Triplet | None":
    """Return what is to be measured: what was detected, or what the user says. Raises UsageError."""
    from autoresearch.cli.triplet_questions import ask_what_runs

    first = next(iter(found), None)
    if yes or (first is None and not has_terminal()):
        return first
    if first is not None and not has_terminal():
        what = f"{', '.join(first.edit)} measured by `{first.command}`"
        raise UsageError(f"{what}: `autoresearch init --yes` takes that, and in a terminal you can change it")
    return ask_what_runs(first)


def init_triplet(root: Path, triplet: "Triplet", yes: bool) -> None:
    """Measure a repository as a triplet says, attack its evaluator, and write and commit its settings."""
    from autoresearch.cli.triplet_questions import ask_guard
    from autoresearch.setup.new_triplet import texts_of, write_triplet
    from autoresearch.setup.triplet_project import propose_project

    number = _settle_number(root, triplet, yes)
    triplet = triplet if yes else ask_guard(triplet)
    proposed = propose_project(root, triplet, number)
    measured, reports = measure_base(proposed)
    states, commit = write_triplet(root, texts_of(triplet, number, measured))
    _print_choice(triplet, number)
    print_findings(proposed, measured, reports, number.name)
    _print_files(root, states, commit)


def _settle_number(root: Path, triplet: "Triplet", yes: bool) -> "Number":
    """Run the command once, and return the number that counts. Raises UserError."""
    from autoresearch.cli.triplet_questions import ask_number
    from autoresearch.setup.calibration import SEEDS, require_number
    from autoresearch.setup.detect.printed_numbers import numbers_in
    from autoresearch.setup.triplet import Number
    from autoresearch.setup.triplet_project import propose_project

    expected = triplet.number or Number("number", regex="(?!)()")
    proposed = propose_project(root, triplet, expected)
    with open_trials(proposed) as measure:
        result = measure("first run", proposed.text, SEEDS[0])
    options = [expected] if result.outcome == "ok" else []
    if result.outcome in ("ok", "invalid"):
        options += [each for each in numbers_in(result.log) if each.name != expected.name]
    else:
        require_number(result)
    if not options:
        raise UserError(f"`{triplet.command}` printed no number once: let it print one line such as `error: 0.25`")
    return options[0] if yes else ask_number(options)


def measure_base(proposed: "ProposedProject") -> "tuple[Calibration, list[AttackReport]]":
    """Measure noise and reaction of a project, then attack its evaluator."""
    from autoresearch.setup.calibration import calibrate

    with open_trials(proposed) as measure:
        measured = calibrate(proposed.text, measure, proposed.goal)
        return measured, run_attacks(proposed, measured.base[0], measure)


def _print_choice(triplet: "Triplet", number: "Number") -> None:
    typer.echo(f"files     {', '.join(triplet.edit)}\ncommand   {triplet.command}\nnumber    {number}")
    if triplet.guard:
        typer.echo(f"guard     {triplet.guard}")


def print_findings(
    proposed: "ProposedProject", measured: "Calibration", reports: Sequence["AttackReport"], name: str
) -> None:
    """Print what the measurements say of a night."""
    from autoresearch.setup.night_forecast import describe_night, describe_noise, describe_reaction

    typer.echo(f"base      {measured.mean:.6g} in {len(measured.base)} runs of {measured.seconds:.1f} s")
    typer.echo(f"noise     {describe_noise(measured)}")
    for line in describe_reaction(measured):
        typer.echo(f"reaction  {line}")
    typer.echo(f"attacks   {_describe_attacks(reports)}")
    typer.echo(f"belief    {proposed.command.describe_belief(measured.base[0].grade)}")
    typer.echo(f"night     {describe_night(proposed.project, measured, name, HOURS)}")


def _describe_attacks(reports: Sequence["AttackReport"]) -> str:
    if not reports:
        return NOT_ATTACKED
    won = [report for report in reports if report.wins]
    names = ", ".join(report.name + ("" if report.is_admitted else " (NOT admitted)") for report in won)
    more = f": {names}; `autoresearch attack` says how to close them" if won else ""
    return f"{len(won)} of {len(reports)} win{more}"


def _print_files(root: Path, states: Mapping[str, str], commit: str | None) -> None:
    typer.echo()
    for name, state in states.items():
        typer.echo(f"  {name:40}{'new' if state == 'new' else 'was there, and stays as it is'}")
    typer.echo(f"committed as {commit[:7]}" if commit else "nothing new to commit")
    folder = "" if root == Path.cwd().resolve() else f"cd {root}\n  "
    typer.echo(f"\nnext:\n  {folder}autoresearch run --hours 8     a session of eight hours; Ctrl-C ends it earlier")
