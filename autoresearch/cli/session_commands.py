"""Commands for whole sessions: sessions, remove."""

import sys
import time

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, LOOK, RUN, app, open_ledger, print_json
from autoresearch.errors import UsageError


@app.command(rich_help_panel=LOOK)
def sessions(as_json: bool = JSON) -> None:
    """List the sessions of this repository: state, keeps, scores, and what they take on the disk."""
    from autoresearch.analysis.session_list import list_sessions
    from autoresearch.report.session_table import table
    from autoresearch.terminal.console import print_blocks

    now = time.time()
    with open_ledger(None) as (store, _):
        found = list(list_sessions(store, now))
    if as_json:
        print_json([session.as_json() for session in found])
    else:
        print_blocks([table(found, now)], Console())


@app.command(rich_help_panel=RUN)
def remove(
    tag: str = typer.Argument(help="Name of the session."),
    yes: bool = typer.Option(False, "--yes", help="Do not ask."),
) -> None:
    """Remove a session: its files in runs/, its rows in the ledger, its references and its branch.

    A branch that you have moved or work on stays, and so do exported branches. It prints how to get the session back.
    """
    from autoresearch import config
    from autoresearch.analysis.session_list import list_sessions
    from autoresearch.session.removal import remove_session
    from autoresearch.setup import project
    from autoresearch.workspace.workspace import Workspace

    root = project.repository()
    with open_ledger(tag, readonly=False) as (store, session):
        found = next(each for each in list_sessions(store, time.time()) if each.tag == tag)
        if not yes:
            _ask(
                f"Remove session {tag}: {found.experiments} experiments, {found.kept} kept, {found.bytes / 1e6:.1f} MB?"
            )
        removal = remove_session(session, store, Workspace.of(root, config.load(root, {})))
    if removal.branch_stays:
        typer.echo(f"branch {session.branch} stays: you have moved it, or it is checked out", err=True)
    if removal.commits:
        lines = (f"git update-ref refs/autoresearch/{tag}/{name} {sha}" for name, sha in removal.commits.items())
        back = " && ".join([*lines, f"autoresearch run --tag {tag}"])
        typer.echo(f"`{back}` goes on with its keeps, until `git gc` prunes their commits", err=True)
    typer.echo(f"the ledger as it was: {removal.copy}", err=True)


def _ask(question: str) -> None:
    """Ask a yes-or-no question, and end the command unless the answer is yes. Raises UsageError without a terminal."""
    if not sys.stdin.isatty():
        raise UsageError("nobody is here to be asked: add --yes")
    typer.confirm(question, abort=True, err=True)
