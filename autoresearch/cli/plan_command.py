"""The command `plan`."""

from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import JSON, RUN, SLOTS, WAIT, app, examples, print_json, warn_of_unread_settings
from autoresearch.cli.slot import say_line
from autoresearch.errors import UserError

if TYPE_CHECKING:
    from autoresearch.setup.session_power import SessionPower
    from autoresearch.setup.trial_run import Plan

HOURS = 8.0  # of a night, where the settings name none


@app.command(rich_help_panel=RUN, epilog=examples("autoresearch plan", "autoresearch plan --budget 5m --text"))
def plan(
    budget: str = typer.Option(None, help="As for `run`: 5m, 300s, 15cpu, 200steps."),
    device: str = typer.Option(None, help="Device: auto, cpu or cuda."),
    slots: str = SLOTS,
    wait: bool = WAIT,
    text: bool = typer.Option(False, "--text", help="Print train.py with these constants, as in experiment 0."),
    as_json: bool = JSON,
) -> None:
    """Choose the constants of the base for this device and predict a trial, from ten steps trained now."""
    from autoresearch import config
    from autoresearch.cli.trial_command import read_version
    from autoresearch.measure import facts
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.setup.project import open_project, repository_or_here
    from autoresearch.setup.session_power import expect_experiments, expect_power
    from autoresearch.setup.slots import lock
    from autoresearch.setup.trial_run import BasePlanner

    root = repository_or_here()
    settings = config.load(root, {})
    if settings.run is not None:
        raise UserError("`plan` is for train.py: a command measures here, `autoresearch trial` runs it once")
    name = settings.train
    source = read_version(root / name, name)
    protect_self()
    warn_of_unread_settings()
    project = open_project({"budget": budget, "device": device, "slots": slots}, root)
    with lock([project.slot], say_line if wait else None):
        result = BasePlanner(project, say_line).measure(source)
    if warning := facts.repetition_warning({"reported": {"epochs": result.epochs}}):
        typer.echo(warning, err=True)
    slots_of_run = len(settings.slots)  # --slots names the one on which this measures
    power = expect_power(project, expect_experiments(project, settings.hours or HOURS, slots_of_run))
    if as_json:
        print_json(result.as_json() | {"power": power.as_json() if power else None})
    elif text:
        typer.echo(result.text, nl=False)
    else:
        _print(result, power, slots_of_run)


def _print(result: "Plan", power: "SessionPower | None", slots: int) -> None:
    from autoresearch.setup.session_power import UNKNOWN

    constants = ", ".join(f"{name} {value:g}" for name, value in result.constants.items())
    lines = {
        "device": result.gpu or result.device,
        "plan": result.reason,
        "constants": constants or "unchanged",
        "step": f"{result.step_seconds:.3f} s",
        "setup": f"{result.setup_seconds:.0f} s",
        "budget": result.budget + (f": about {result.steps:,.0f} steps" if result.steps else ""),
    }
    if result.tokens_per_second:
        lines["step"] += f", {result.tokens_per_second:,.0f} tokens/s"
    if result.tokens:
        epochs = f", {result.epochs:.2g} epochs of the data" if result.epochs else ""
        lines["tokens"] = f"{result.tokens / 1e6:.3g}M{epochs}"
    if result.peak_vram_mb:
        lines["memory"] = f"{result.peak_vram_mb / 1024:.1f} GiB on the card"
    where = f" on {slots} slots" if slots > 1 and power is not None and power.experiments is not None else ""
    lines["power"] = f"{power or UNKNOWN}{where}"
    for name, value in lines.items():
        typer.echo(f"{name:10}{value}")
