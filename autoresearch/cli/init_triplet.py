"""The part of `init` for a repository that has a command of its own: ask, measure, attack, write."""

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autoresearch.cli.attack_command import NOT_ATTACKED, run_attacks
from autoresearch.cli.trial_steps import describe, describe_end, open_trials
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.measure.result import Result
    from autoresearch.setup.calibration import Calibration
    from autoresearch.setup.evaluator_check import AttackReport
    from autoresearch.setup.triplet import Number, Triplet
    from autoresearch.setup.triplet_project import ProposedProject

HOURS = 8.0  # of a night
NO_MODULE = re.compile(r"ModuleNotFoundError|No module named")
READ_ONLY = re.compile(r"Read-only file system|Permission denied|PermissionError|EROFS|EACCES")


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


@dataclass(frozen=True)
class TripletInit:
    """Make a repository ready for sessions that a command of its own measures."""

    root: Path
    yes: bool
    slot: str | None
    wait: bool

    def adopt(self, triplet: "Triplet") -> None:
        """Measure a repository as a triplet says, attack its evaluator, and write and commit its settings."""
        from autoresearch.cli.triplet_questions import ask_guard
        from autoresearch.setup.new_triplet import texts_of, write_triplet
        from autoresearch.setup.triplet_project import keep_noise

        triplet, number, seconds = self._settle_number(triplet)
        triplet = self._settle_guard(triplet if self.yes else ask_guard(triplet), number)
        proposed = self._propose(triplet, number)
        measured, reports = self._measure_base(proposed, seconds)
        states, commit = write_triplet(self.root, texts_of(triplet, number, measured))
        keep_noise(self.root, measured, self.slot)
        _print_choice(triplet, number)
        _print_findings(proposed, measured, reports)
        _print_files(self.root, states, commit)

    def check(self) -> None:
        """Measure a repository whose settings are written, and attack its evaluator. Raises UserError."""
        from autoresearch.setup.calibration import SEEDS, require_number
        from autoresearch.setup.triplet_project import keep_noise, open_proposed

        proposed = open_proposed(self.root, self.slot)
        with open_trials(proposed, self.wait) as measure:
            first = require_number(measure("first run", proposed.text, SEEDS[0]))
        measured, reports = self._measure_base(proposed, first.total_seconds)
        kept = keep_noise(self.root, measured, self.slot)
        _print_findings(proposed, measured, reports)
        written = f"the noise is in runs/{kept.name}, for new sessions" if kept else "nothing was written"
        typer.echo(f"\nautoresearch.yaml was there, and stays as it is: {written}")

    def _propose(self, triplet: "Triplet", number: "Number") -> "ProposedProject":
        from autoresearch.setup.triplet_project import propose_project

        return propose_project(self.root, triplet, number, self.slot)

    def _settle_number(self, triplet: "Triplet") -> "tuple[Triplet, Number, float]":
        """Run the command once; return what is measured, the number that counts, and the seconds. Raises UserError."""
        from autoresearch.cli.triplet_questions import ask_number
        from autoresearch.setup.calibration import require_number
        from autoresearch.setup.detect.printed_numbers import numbers_in
        from autoresearch.setup.glue_files import IN_COPY, run_in_copy

        result = self._run_once(triplet)
        if result.outcome == "crash" and READ_ONLY.search(result.log) and IN_COPY not in triplet.command:
            triplet = run_in_copy(triplet)
            result = self._run_once(triplet, "in a copy that it can write")
        if result.outcome == "crash" and NO_MODULE.search(result.log) and (setup := self._find_setup()):
            triplet = replace(triplet, setup=setup)
            result = self._run_once(triplet, "with what setup made")
        options = [triplet.number] if triplet.number and result.outcome == "ok" else []
        if result.outcome in ("ok", "invalid"):
            options += [each for each in numbers_in(result.log) if not options or each.name != options[0].name]
        else:
            require_number(result)
        if not options:
            raise UserError(f"`{triplet.command}` printed no number once: let it print one line such as `error: 0.25`")
        return triplet, options[0] if self.yes else ask_number(options), result.total_seconds

    def _find_setup(self) -> tuple[str, ...]:
        from autoresearch.setup.detect import find_setup, read_head

        texts = read_head(self.root)
        return find_setup(texts) if texts else ()

    def _run_once(self, triplet: "Triplet", label: str = "first run") -> "Result":
        from autoresearch.setup.calibration import SEEDS
        from autoresearch.setup.triplet import Number

        number = triplet.number or Number("number", regex="(?!)()")
        proposed = self._propose(replace(triplet, guard=None), number)
        found = describe if triplet.number else describe_end
        with open_trials(proposed, self.wait, describe=found) as measure:
            return measure(label, proposed.text, SEEDS[0])

    def _settle_guard(self, triplet: "Triplet", number: "Number") -> "Triplet":
        """Run the guard once; one that was only detected is left out if the base fails it. Raises UserError."""
        from autoresearch.setup.calibration import SEEDS

        if triplet.guard is None:
            return triplet
        proposed = self._propose(triplet, number)
        with open_trials(proposed, self.wait, guards=True) as measure:
            result = measure("the guard", proposed.text, SEEDS[0])
        if result.outcome == "ok":
            return triplet
        if not self.yes:
            raise UserError(f"the base does not pass the guard `{triplet.guard}`: {result.reason}")
        typer.echo(f"left out, for the base does not pass it: `{triplet.guard}`", err=True)
        return replace(triplet, guard=None)

    def _measure_base(
        self, proposed: "ProposedProject", seconds: float
    ) -> "tuple[Calibration, list[AttackReport] | None]":
        """Measure noise and reaction of a project, then attack its evaluator; None for attacks that would take long."""
        from autoresearch.setup.calibration import SLOW_S, calibrate, count_trials, seeds_for
        from autoresearch.setup.evaluator_check import TRIALS

        seeds, is_slow = seeds_for(seconds), seconds >= SLOW_S
        runs = count_trials(proposed.text, seeds) + (0 if is_slow else TRIALS)
        minutes = runs * seconds / 60
        typer.echo(f"up to {runs} runs follow, {minutes:.1f} min in all; nothing is written before their end", err=True)
        with open_trials(proposed, self.wait) as measure:
            measured = calibrate(proposed.text, measure, seeds, proposed.command.metric)
            return measured, None if is_slow else run_attacks(proposed, measured.base[0], measure)


def _print_choice(triplet: "Triplet", number: "Number") -> None:
    typer.echo(f"files     {', '.join(triplet.edit)}\ncommand   {triplet.command}\nnumber    {number}")
    if triplet.guard:
        typer.echo(f"guard     {triplet.guard}")


def _print_findings(
    proposed: "ProposedProject", measured: "Calibration", reports: "Sequence[AttackReport] | None"
) -> None:
    """Print what the measurements say of a night."""
    from autoresearch.setup.night_forecast import describe_night, describe_noise, describe_reaction

    typer.echo(f"base      {measured.mean:.6g} in {len(measured.base)} runs of {measured.seconds:.1f} s")
    typer.echo(f"noise     {describe_noise(measured)}")
    for line in describe_reaction(measured):
        typer.echo(f"reaction  {line}")
    typer.echo(f"attacks   {_describe_attacks(reports)}")
    typer.echo(f"belief    {proposed.command.describe_belief(measured.base[0].grade)}")
    typer.echo(f"night     {describe_night(proposed.project, measured, HOURS)}")


def _describe_attacks(reports: "Sequence[AttackReport] | None") -> str:
    if reports is None:
        return "not attacked yet, for a run takes long: `autoresearch attack` does it"
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
