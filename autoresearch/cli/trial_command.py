"""The command `trial`, which needs neither a session nor a repository."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import DEVICE, JSON, RUN, SLOTS, WAIT, app, examples, print_json, warn_of_unread_settings
from autoresearch.cli.slot import lock_slot
from autoresearch.errors import Blocker, UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.measure.result import Result
    from autoresearch.setup.project import Project


@app.command(
    rich_help_panel=RUN, epilog=examples("autoresearch trial", "autoresearch trial other.py --budget 200steps --seed 1")
)
def trial(
    file: Path | None = typer.Argument(None, show_default="train.py", help="The version to measure."),
    budget: str = typer.Option(None, help="Training budget: 5m, 300s, 15cpu, 200steps."),
    seed: int = typer.Option(0, min=0, max=2**31 - 1, help="Seed of the trial."),
    device: str = DEVICE,
    slots: str = SLOTS,
    wait: bool = WAIT,
    as_json: bool = JSON,
) -> None:
    """Measure a version by one trial, as in a session: a file, or by a command what is committed.

    Exit code 1 if it has no score, 3 if it lacks `train(trial)` or `load(state, config, device)`.
    """
    from autoresearch import config, hardware
    from autoresearch.measure import facts
    from autoresearch.setup.project import open_project, repository_or_here

    root = repository_or_here()
    flags: dict[str, object] = {"budget": budget, "device": device, "slots": slots}
    settings = config.load(root, flags)
    if settings.run is not None:
        if file is not None:
            raise UsageError(f"a command measures the files of this project: leave {file} out")
        _measure_by_command(root, slots, seed, wait, as_json)
        return
    file, name = (root / settings.train, settings.train) if file is None else (file, str(file))
    try:
        text = read_version(file, name)
    except Blocker as error:
        if as_json:
            _print_unmeasured(str(error), seed)
        raise
    warn_of_unread_settings()
    project = open_project(flags, root)
    result = _measure_file(project, file.name, text, seed, wait)
    if warning := facts.repetition_warning(result.as_json()):
        typer.echo(warning, err=True)
    if as_json:
        print_json(result.as_json())
    else:
        _print_trial(result, hardware.gpu_name(project.slot.gpu))
    _exit_without_score(result)


def _measure_file(project: "Project", name: str, text: str, seed: int, wait: bool) -> "Result":
    from autoresearch.measure.referee import CellReferee
    from autoresearch.measure.settings import TrialPlan
    from autoresearch.session.events import TrialProgress
    from autoresearch.setup.trial_run import BasePlanner

    text = BasePlanner(project).fit_by_memory(text)
    with lock_slot(project, wait) as live:
        plan = TrialPlan(watch=lambda progress: live.handle(TrialProgress(0, name, progress)))
        return CellReferee(project.settings, project.data).measure(text, seed, plan)


def _measure_by_command(root: Path, slots: str | None, seed: int, wait: bool, as_json: bool) -> None:
    """Measure the committed files by the command of the settings, with its guards."""
    from autoresearch.cli.trial_steps import open_trials
    from autoresearch.setup.triplet_project import open_proposed

    warn_of_unread_settings()
    proposed = open_proposed(root, slots)
    if proposed.workspace.user_files.are_dirty():
        typer.echo("measures what is committed: your files have changes that are not", err=True)
    with open_trials(proposed, wait, guards=True) as measure:
        result = measure("trial", proposed.text, seed)
    if as_json:
        print_json(result.as_json())
    else:
        _print_command_trial(result, proposed.command.name)
    _exit_without_score(result)


def _exit_without_score(result: "Result") -> None:
    if result.outcome != "ok":
        raise typer.Exit(1)


def _print_unmeasured(reason: str, seed: int) -> None:
    from autoresearch.measure.result import Result

    print_json(Result(reason=reason, seed=seed).as_json())


def read_version(file: Path, name: str) -> str:
    """Read a version that follows the contract; `name` is how the user calls it. Raises UserError, Blocker."""
    from autoresearch.source.contract import require_contract
    from autoresearch.workspace.git import no_file

    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        if name == "train.py" and not file.exists():
            raise Blocker(no_file(name)) from None
        raise UserError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{file} is not UTF-8 text: convert it") from None
    require_contract(text, file.name)
    return text


def _print_trial(result: "Result", gpu: str | None) -> None:
    """Print the `key: value` summary of the original; the log of a failure goes to stderr."""
    from autoresearch.terminal.trial_view import summary

    typer.echo("---")
    for name, value in summary(result, gpu).items():
        typer.echo(f"{name + ':':18}{value}")
    if result.outcome != "ok":
        typer.echo(result.log[-2000:], err=True)


def _print_command_trial(result: "Result", name: str) -> None:
    """Print number, guards and duration; the output of a failure goes to stderr."""
    number = "-" if result.val_bpb is None else f"{result.val_bpb:.9g}"
    lines = {name: number} | {guard: f"{value:.9g}" for guard, value in result.guards.items()}
    lines |= {"seconds": f"{result.total_seconds:.1f}", "outcome": result.outcome, "grade": result.grade}
    if result.outcome != "ok":
        lines["reason"] = result.reason
        typer.echo(result.log[-2000:], err=True)
    for key, value in lines.items():
        typer.echo(f"{key + ':':18}{value}")
