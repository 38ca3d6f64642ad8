"""The command `brief`."""

import typer

from autoresearch.cli.app import DEVICE, JSON, LOOK, TAG, app, examples, print_code, print_json


@app.command(rich_help_panel=LOOK, epilog=examples("autoresearch brief", "autoresearch brief --agent command:codex"))
def brief(
    tag: str = TAG,
    agent: str = typer.Option(None, help="The agent that would be told, as for `run`."),
    budget: str = typer.Option(None, help="As for `run`, before the first session."),
    device: str = DEVICE,
    as_json: bool = JSON,
) -> None:
    """Print what the agent would be told next: contract, facts of the trial, history, train.py, instruction.

    Nothing is asked, changed or trained. What is not known yet is named on stderr.
    """
    from autoresearch.session.preview import preview
    from autoresearch.setup.project import repository
    from autoresearch.terminal.console import print_line

    found = preview(repository(), {"agent": agent, "budget": budget, "device": device}, tag)
    if as_json:
        print_json(found.as_json())
        return
    for line in found.missing:
        print_line(line)
    print_code(found.text, "markdown")
