"""The command that lists the nodes of a Ray cluster."""

from contextlib import suppress
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import DEVICE, JSON, LOOK, app, examples, open_ledger, print_json
from autoresearch.errors import UserError

if TYPE_CHECKING:
    from autoresearch.ledger.node_trials import NodeTrials


@app.command(rich_help_panel=LOOK, epilog=examples("autoresearch nodes", "autoresearch nodes --ray 10.0.0.7:6379"))
def nodes(
    ray: str = typer.Option(None, "--ray", help="Address of the cluster; by default the one of this machine."),
    device: str = DEVICE,
    as_json: bool = JSON,
) -> None:
    """List the nodes of a Ray cluster: which run trials, their grade, noise, speed and price (docs/fleet.md)."""
    from autoresearch import config
    from autoresearch.fleet.node_list import list_nodes
    from autoresearch.report.node_table import table
    from autoresearch.setup.project import repository_or_here
    from autoresearch.terminal.console import print_blocks

    settings = config.load(repository_or_here(), {"ray": ray, "device": device})
    typer.echo("asks each node what it is ...", err=True)
    found = list_nodes(settings, _earlier_trials())
    if as_json:
        print_json([node.as_json() for node in found])
    else:
        print_blocks([table([node.as_json() for node in found])], Console())


def _earlier_trials() -> "dict[str, NodeTrials]":
    """Return the trials of the current session by node; none without a session."""
    from autoresearch.ledger.node_trials import trials_by_node

    with suppress(UserError), open_ledger(None) as (store, session):
        return {each.node: each for each in trials_by_node(store.trials(session.id))}
    return {}
