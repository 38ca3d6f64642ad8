"""The command `advice`."""

import time
from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import JSON, LOOK, TAG, app, examples, open_ledger, print_code, print_json
from autoresearch.errors import UsageError

if TYPE_CHECKING:
    from autoresearch.config import Config
    from autoresearch.files import JsonObject
    from autoresearch.ledger import Ledger, Session


@app.command(rich_help_panel=LOOK, epilog=examples("autoresearch advice | git apply", "autoresearch advice --arm"))
def advice(
    tag: str = TAG,
    arm: bool = typer.Option(False, "--arm", help="Write program-b.md with the lines, as an arm of the next session."),
    as_json: bool = JSON,
) -> None:
    """Print what the counts of a session suggest for program.md, as a patch; the evidence goes to stderr."""
    from autoresearch import config
    from autoresearch.analysis import advice as suggested
    from autoresearch.analysis import summary
    from autoresearch.setup import project

    if arm and as_json:
        raise UsageError("--arm and --json are both given: choose one of them")
    root = project.repository()
    settings = config.load(root, {})
    program = suggested.read_program(root / settings.program)
    with open_ledger(tag) as (store, session):
        found, arms = summary.read(store, session, root / "runs", time.time()), _arms(store, session, settings)
    if as_json:
        print_json([each.as_json() for each in found.advice])
        return
    for each in found.advice:
        typer.echo(f"{each.line}\n  {each.evidence}", err=True)
    if not found.advice:
        typer.echo(f"session {session.tag} is too short or too even to suggest a change of program.md", err=True)
    elif arm:
        _add_arm(settings, arms, suggested.add_to(program, found.advice, session.tag))
    else:
        print_code(suggested.patch(program, found.advice, session.tag, settings.program), "diff")


def _arms(store: "Ledger", session: "Session", settings: "Config") -> "list[JsonObject]":
    """Return the arms of a session; of one with a single agent, that agent with the program of the settings."""
    from autoresearch.agents.auto import AUTO
    from autoresearch.session.arms import recorded_arms

    if arms := recorded_arms(store, session):
        return [arm.model_dump(exclude_unset=True) for arm in arms]
    agent = session.agent if settings.agent == AUTO else settings.agent
    return [{"agent": agent, "program": settings.program}]


def _add_arm(settings: "Config", arms: "list[JsonObject]", text: str) -> None:
    """Write a program with this text as an arm."""
    from autoresearch.config import FILE
    from autoresearch.setup import project
    from autoresearch.setup.program_arm import add_program_arm

    made = add_program_arm(project.repository(), settings, arms, text)
    typer.echo(f"wrote {made.program.name}: edit it as you like; it is compared with {settings.program}", err=True)
    if made.is_set:
        typer.echo(f"{FILE} has the arm {made.program.stem}: `autoresearch run` asks both", err=True)
        return
    typer.echo(f"add to {FILE}:", err=True)
    print_code(made.lines, "yaml")
