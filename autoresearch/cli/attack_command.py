"""The command `attack`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import JSON, RUN, SLOTS, WAIT, app, examples, print_json

if TYPE_CHECKING:
    from autoresearch.measure.result import Result
    from autoresearch.setup.calibration import Measure
    from autoresearch.setup.evaluator_check import AttackReport
    from autoresearch.setup.triplet_project import ProposedProject

WORDS = {"wins": "wins", "stopped": "refused", "refused": "refused", "not run": "not run"}
NOT_ATTACKED = "not attacked: no file that may change is Python, and there are no attacks in other languages"


@app.command(rich_help_panel=RUN, epilog=examples("autoresearch attack", "autoresearch attack --json"))
def attack(slots: str = SLOTS, wait: bool = WAIT, as_json: bool = JSON) -> None:
    """Attack the evaluator of this repository with versions that forge their number.

    Measures the base and ten versions in cells, and writes nothing. Exit code 1 if an attack wins although what the
    evaluator is called (`separate`, `in-process` or `reported`, docs/measuring.md) excludes it.
    """
    from autoresearch import config
    from autoresearch.cli.trial_steps import open_trials
    from autoresearch.errors import UserError
    from autoresearch.setup.calibration import SEEDS, require_number
    from autoresearch.setup.project import repository
    from autoresearch.setup.triplet_project import open_proposed

    root = repository()
    if config.load(root, {}).run is None:
        raise UserError("the built-in trial is attacked by `autoresearch doctor`; this is for `run` and `metric`")
    proposed = open_proposed(root, slots)
    with open_trials(proposed, wait) as measure:
        base = require_number(measure("base", proposed.text, SEEDS[0]))
        reports = run_attacks(proposed, base, measure)
    if as_json:
        print_json([vars(report) for report in reports])
    else:
        print_attacks(reports, proposed.command.belief)
    if any(report.wins and not report.is_admitted for report in reports):
        raise typer.Exit(1)


def run_attacks(proposed: "ProposedProject", base: "Result", measure: "Measure") -> list["AttackReport"]:
    """Try the attacks, each a step of the display."""
    from autoresearch.setup.evaluator_check import attack_evaluator

    return list(attack_evaluator(proposed, base, measure))


def print_attacks(reports: Sequence["AttackReport"], belief: str) -> None:
    """Print one line for each attack, and what to do about those that win."""
    if not reports:
        typer.echo(NOT_ATTACKED)
    for report in reports:
        words = f"admitted by {belief!r}" if report.is_admitted else f"NOT admitted by {belief!r}"
        typer.echo(f"{report.name:26}{WORDS[report.outcome]}{f' ({words}): {report.hole}' if report.wins else ''}")
    for remedy in dict.fromkeys(report.remedy for report in reports if report.wins):
        names = ", ".join(report.name for report in reports if report.wins and report.remedy == remedy)
        typer.echo(f"against {names}: {remedy}")
