"""The command `trial`, which needs neither a session nor a repository."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import DEVICE, JSON, RUN, SLOTS, WAIT, app, examples, print_json, warn_of_unread_settings
from autoresearch.cli.slot import lock_slot
from autoresearch.errors import Blocker, UserError

if TYPE_CHECKING:
    from autoresearch.measure.result import Result


@app.command(
    rich_help_panel=RUN, epilog=examples("autoresearch trial", "autoresearch trial other.py --budget 200steps --seed 1")
)
def trial(
    file: Path = typer.Argument(Path("train.py"), help="The version to measure."),
    budget: str = typer.Option(None, help="Training budget: 5m, 300s, 15cpu, 200steps."),
    seed: int = typer.Option(0, min=0, max=2**31 - 1, help="Seed of the trial."),
    device: str = DEVICE,
    slots: str = SLOTS,
    wait: bool = WAIT,
    as_json: bool = JSON,
) -> None:
    """Measure a file by one trial, as in a session.

    Exit code 1 if it has no score, 3 if it lacks `train(trial)` or `load(state, config, device)`.
    """
    from autoresearch import hardware
    from autoresearch.measure import facts
    from autoresearch.measure.referee import CellReferee
    from autoresearch.measure.result import Result
    from autoresearch.measure.settings import TrialPlan
    from autoresearch.session.events import TrialProgress
    from autoresearch.setup.project import open_project, repository_or_here
    from autoresearch.setup.trial_run import BasePlanner

    try:
        text = read_version(file, str(file))
    except Blocker as error:
        if as_json:
            print_json(Result(reason=str(error), seed=seed).as_json())
        raise
    warn_of_unread_settings()
    project = open_project({"budget": budget, "device": device, "slots": slots}, repository_or_here())
    text = BasePlanner(project).fit_by_memory(text)
    with lock_slot(project, wait) as live:
        plan = TrialPlan(watch=lambda progress: live.handle(TrialProgress(0, file.name, progress)))
        result = CellReferee(project.settings, project.data).measure(text, seed, plan)
    if warning := facts.repetition_warning(result.as_json()):
        typer.echo(warning, err=True)
    if as_json:
        print_json(result.as_json())
    else:
        _print_trial(result, hardware.gpu_name(project.slot.gpu))
    if result.outcome != "ok":
        raise typer.Exit(1)


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
