"""The command `compare`."""

import time
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, LOOK, MAX_HOURS, TAG, app, examples, open_ledger, print_json
from autoresearch.cli.plan_command import HOURS
from autoresearch.errors import UserError

if TYPE_CHECKING:
    from autoresearch.judge.arm_comparison import ArmResults
    from autoresearch.ledger import Ledger, Session


@app.command(
    rich_help_panel=LOOK,
    epilog=examples("autoresearch compare claude sweep", "autoresearch compare program-a program-b --plan --hours 8"),
)
def compare(
    a: str = typer.Argument(help="A session, or an arm of one (--tag)."),
    b: str = typer.Argument(help="The other one. With --plan, arms may be new."),
    plan: bool = typer.Option(False, "--plan", help="Say how large a difference a night could show."),
    hours: float = typer.Option(HOURS, min=0.01, max=MAX_HOURS, help="With --plan: length of the night."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Say which of two arms, or of two sessions, gained more for each proposal, and how sure that is."""
    from autoresearch.judge.arm_comparison import compare_arms, describe_arms
    from autoresearch.report import arm_table
    from autoresearch.terminal.console import print_blocks

    with open_ledger(tag) as (store, session):
        if plan:
            _plan(store, session, (a, b), hours, as_json)
            return
        arms = [_find(store, session, name) for name in (a, b)]
        whole = [each for name in (a, b) if (each := store.session(name)) is not None]
    _warn(whole)
    if as_json:
        compared = compare_arms(arms)
        comparison = None if compared is None else compared.as_json()
        print_json({"arms": [each.as_json() for each in describe_arms(arms)], "comparison": comparison})
    else:
        caveat = arm_table.WHOLE_NIGHTS if whole else arm_table.CAVEAT
        metric = whole[0].metric if len(whole) == 2 else session.metric
        print_blocks(arm_table.layout(arms, metric, caveat), Console())


def _find(store: "Ledger", session: "Session", name: str) -> "ArmResults":
    from autoresearch.analysis.arm_counts import find_results

    return find_results(store, session, name)


def _warn(sessions: "list[Session]") -> None:
    """Tell what differs in the measurements of two sessions."""
    from autoresearch.analysis.compare import obstacles

    for words in obstacles(*sessions) if len(sessions) == 2 else ():
        typer.echo(f"warning: they differ in {words}: their gains cannot be compared", err=True)


def _plan(store: "Ledger", session: "Session", names: tuple[str, str], hours: float, as_json: bool) -> None:
    """Print what a night of these arms could show; arms that are new are taken to be like those of the session."""
    from autoresearch import config, ledger
    from autoresearch.analysis.arm_counts import count_arms
    from autoresearch.setup.comparison_plan import plan_comparison

    try:
        arms = [_find(store, session, name) for name in names]
    except UserError:
        arms = count_arms(store, session, ledger.experiment_rows(store, session))
    replicates = config.load(store.path.parents[1], {}).replicates
    slots = ledger.status(store, session, time.time()).slots
    planned = plan_comparison(store, session, arms, hours, replicates, slots)
    if as_json:
        print_json(planned.as_json())
    else:
        typer.echo(str(planned))
