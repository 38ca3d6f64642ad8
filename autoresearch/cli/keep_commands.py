"""Commands for kept changes: ablate, revert, review."""

import time
from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, SLOTS, TAG, VERIFY, WAIT, app, examples, open_ledger, print_json
from autoresearch.cli.slot import lock_slot, open_remeasurer, project_of
from autoresearch.errors import UsageError, UserError, require

if TYPE_CHECKING:
    from autoresearch.ledger import Experiment


@app.command(rich_help_panel=VERIFY)
def ablate(
    draws: int = typer.Option(3, min=2, help="Seeds for the final version and for each version without one change."),
    prune: bool = typer.Option(
        False, "--prune", help="Remove the changes without effect, measured as one more experiment."
    ),
    slots: str = SLOTS,
    wait: bool = WAIT,
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Measure what each kept change contributes: remove each in turn, and measure both versions."""
    from autoresearch.analysis import ablate as ablation
    from autoresearch.report import results
    from autoresearch.terminal.console import print_blocks

    with open_remeasurer(tag, slots, wait) as measuring:
        result = ablation.ablate(measuring, draws)
        words, metric = f"carry nothing: {result.idle or '-'}", measuring.session.metric
        measuring.ledger.event(measuring.session.id, "ablation", words, data=asdict(result))
    if not as_json:
        print_blocks(results.ablation(result, metric), Console())
    hypothesis = f"Without experiments {', '.join(map(str, result.idle))}, which carry nothing"
    pruned = None
    if prune and result.idle:
        pruned = _take_out(tag, result.idle, "prune", hypothesis, "ablate", slots, wait)
    if as_json:
        parts = [asdict(part) | {"carries": part.carries} for part in result.parts]
        number = pruned.n if pruned else None
        about = {"final": result.final, "draws": result.draws, "bound": result.bound}
        print_json({**about, "parts": parts, "pruned": number})
    elif pruned is not None:
        _say_outcome(pruned)


@app.command(rich_help_panel=VERIFY)
def revert(
    n: int = typer.Argument(min=1, help="Number of the kept experiment."),
    slots: str = SLOTS,
    wait: bool = WAIT,
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Remove a kept change, measured as one more experiment, unless that is worse. Exit code 1 if it is worse."""
    experiment = _take_out(tag, [n], "revert", f"Without experiment {n}", "human", slots, wait)
    if as_json:
        names = ("n", "sha", "verdict", "reason", "val_bpb", "delta", "sigma", "p_gain")
        print_json({name: getattr(experiment, name) for name in names})
    else:
        _say_outcome(experiment)
    if experiment.verdict != "keep":
        raise typer.Exit(1)


def _take_out(
    tag: str | None, numbers: list[int], mode: str, hypothesis: str, by: str, slots: str | None, wait: bool
) -> "Experiment":
    """Measure the best version without some changes; with `wait`, as it is when the session that runs has ended."""
    from autoresearch.agents.base import Proposal
    from autoresearch.analysis.kept_changes import KeptChanges
    from autoresearch.analysis.lineage import stack
    from autoresearch.session.opening import check_comparable
    from autoresearch.session.run import take_out
    from autoresearch.workspace.workspace import Workspace

    with open_ledger(tag, readonly=False) as (store, session):
        project = project_of(session, slots)
        if not wait:
            check_comparable(session, project)
        with lock_slot(project, wait) as live:
            session = require(store.session(session.tag))
            workspace = Workspace.of(project.root, project.config)
            text = KeptChanges(store, session, workspace, stack(store, session)).without(numbers)
            proposal = Proposal(text, hypothesis, "simplification", mode=mode)
            return take_out(session, project, store, proposal, by, [live.handle])


def _say_outcome(experiment: "Experiment") -> None:
    typer.echo(f"experiment {experiment.n}: {experiment.verdict}: {experiment.reason}")


@app.command(
    rich_help_panel=VERIFY, epilog=examples('autoresearch review 12 --accept --note "read, and runs on two cards"')
)
def review(
    n: int = typer.Argument(min=1, help="Number of the kept experiment."),
    accept: bool = typer.Option(False, "--accept", help="Accept the change after reading it."),
    reject: bool = typer.Option(False, "--reject", help="Reject the change; `autoresearch revert N` removes it."),
    note: str | None = typer.Option(None, help="The reason; by default that of the review before."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Record a person's judgement of a kept change; `show`, `report` and `export` print it."""
    from autoresearch.ledger import reviews

    if accept == reject:
        raise UsageError("use either --accept or --reject")
    with open_ledger(tag, readonly=False) as (store, session):
        experiment = store.experiment(session.id, n)
        if experiment is None or experiment.verdict != "keep":
            raise UserError(f"experiment {n} of session {session.tag} was not kept: see `autoresearch log`")
        if note is None:
            note = earlier.note if (earlier := reviews(store, session.id).get(n)) else ""
        record = {"accepted": accept, "note": note, "by": _reviewer(), "at": time.time()}
        words = f"{'accepted' if accept else 'rejected'}{': ' + note if note else ''}"
        store.event(session.id, "review", words, n=n, data=record)
    if as_json:
        print_json({"n": n, **record})
    else:
        typer.echo(f"experiment {n} {words}")


def _reviewer() -> str:
    """Return user.name of git, else the name of the account."""
    import getpass

    from autoresearch.setup import project
    from autoresearch.workspace import git

    with git.open_repository(project.repository()) as repo:
        name = repo.config_reader().get_value("user", "name", default="")
    with suppress(KeyError, OSError):
        return str(name or getpass.getuser())
    return "unknown"
