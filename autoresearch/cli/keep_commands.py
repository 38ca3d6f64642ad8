"""Commands about kept changes: ablate, review, revert."""

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, TAG, VERIFY, app, opened, print_json
from autoresearch.cli.slot import again, held, place_of
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.analysis.ablate import Ablation
    from autoresearch.ledger import Experiment


@app.command(rich_help_panel=VERIFY)
def ablate(
    draws: int = typer.Option(
        3, min=2, help="Seeds on which the final version and each one without a change are measured."
    ),
    prune: bool = typer.Option(
        False, "--prune", help="Take out what carries nothing, measured as one more experiment."
    ),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Which keeps carry the total: each kept change is taken out in turn, and both versions are measured."""
    from autoresearch.analysis import ablate as ablation
    from autoresearch.terminal.ablation import print_ablation

    with again(tag) as measuring:
        found = ablation.ablate(measuring, draws)
        measuring.ledger.event(
            measuring.session.id, "ablation", f"carry nothing: {found.idle or '-'}", data=asdict(found)
        )
    if not as_json:
        print_ablation(found, Console())
    pruned = _pruned(found, tag) if prune and found.idle else None
    if as_json:
        parts = [asdict(part) | {"carries": part.carries} for part in found.parts]
        print_json({"final": found.final, "draws": found.draws, "parts": parts, "pruned": pruned.n if pruned else None})
    elif pruned is not None:
        _say_outcome(pruned)


def _pruned(found: "Ablation", tag: str | None) -> "Experiment":
    numbers = ", ".join(map(str, found.idle))
    return _take_out(tag, found.idle, "prune", f"Without experiments {numbers}, which carry nothing", "ablate")


@app.command(rich_help_panel=VERIFY)
def revert(
    n: int = typer.Argument(min=1, help="Number of the kept experiment."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Take a keep out again: measured as one more experiment, and done where the rest is not worse. Exit code 1 where it is."""
    found = _take_out(tag, [n], "revert", f"Without experiment {n}", "human")
    if as_json:
        names = ("n", "sha", "verdict", "reason", "val_bpb", "delta", "sigma", "p_gain")
        print_json({name: getattr(found, name) for name in names})
    else:
        _say_outcome(found)
    if found.verdict != "keep":
        raise typer.Exit(1)


def _take_out(tag: str | None, numbers: list[int], mode: str, hypothesis: str, by: str) -> "Experiment":
    from autoresearch.agents.base import Proposal
    from autoresearch.analysis.ablate import without
    from autoresearch.analysis.lineage import stack
    from autoresearch.session import run
    from autoresearch.workspace.workspace import Workspace

    with opened(tag, readonly=False) as (store, session):
        keeps = stack(store, session)
        if missing := set(numbers) - {keep.n for keep in keeps[1:]}:
            raise UserError(
                f"experiment {min(missing)} is not among the keeps that the final version is made of: see `autoresearch log`"
            )
        place = place_of(session)
        text = without(Workspace(place.root, place.config.train), keeps, numbers)
        proposal = Proposal(text, hypothesis, "simplification", mode=mode)
        with held(place) as live:
            return run.take_out(session, place, store, proposal, by, live)


def _say_outcome(found: "Experiment") -> None:
    typer.echo(f"experiment {found.n}: {found.verdict}: {found.reason}")


@app.command(rich_help_panel=VERIFY)
def review(
    n: int = typer.Argument(min=1, help="Number of the kept experiment."),
    accept: bool = typer.Option(False, "--accept", help="A person has read it, and it may go further."),
    reject: bool = typer.Option(False, "--reject", help="It may not; `autoresearch revert N` takes it out."),
    note: str = typer.Option("", help="Why."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Put a person's judgement of a keep on record; `show`, `report` and `export` know it."""
    if accept == reject:
        raise UsageError("say --accept or --reject")
    with opened(tag, readonly=False) as (store, session):
        experiment = store.experiment(session.id, n)
        if experiment is None or experiment.verdict != "keep":
            raise UserError(f"experiment {n} of session {session.tag} was not kept: see `autoresearch log`")
        said = {"accepted": accept, "note": note, "by": _person(), "at": time.time()}
        words = f"{'accepted' if accept else 'rejected'}{': ' + note if note else ''}"
        store.event(session.id, "review", words, n=n, data=said)
    if as_json:
        print_json({"n": n, **said})
    else:
        typer.echo(f"experiment {n} {words}")


def _person() -> str:
    """Who reviews: as git knows the user of the repository, else the name of the account."""
    from autoresearch.setup import project
    from autoresearch.workspace import git

    with git.repository(project.repository()) as repo:
        reader = repo.config_reader()
        return str(reader.get_value("user", "name", default="") or _account())


def _account() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
