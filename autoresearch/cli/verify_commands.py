"""Commands that verify, and take home: doctor, total, reproduce, export, sample."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, RUN, TAG, VERIFY, app, opened, print_json
from autoresearch.cli.slot import again
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.analysis.checkpoint import Checkpoint
    from autoresearch.analysis.export import Branch
    from autoresearch.analysis.total import Total
    from autoresearch.ledger import Experiment, Ledger, Session


@app.command(rich_help_panel=RUN)
def doctor(
    ledger: bool = typer.Option(False, "--ledger", help="Check instead that ledger, git and artefacts agree."),
    device: str = typer.Option(None, help="As for `run`: auto, cpu or cuda."),
    budget: str = typer.Option(None, help="As for `run`: 5m, 300s, 15cpu, 200steps."),
    agent: str = typer.Option(None, help="As for `run`: asked for one change, which is checked and not trained."),
    hours: float = typer.Option(8.0, min=0, help="How long the night is."),
    rehearse: bool = typer.Option(
        None, "--rehearse/--no-rehearse", help="Ask the configured agent; do not ask --agent."
    ),
    as_json: bool = JSON,
) -> None:
    """What works here, what is missing, what is protected, and how many experiments a night gives.

    Trains nothing and changes nothing. Exit code 3 where something stands in the way of `run`.
    With --ledger: exit code 1 where something does not agree.
    """
    if ledger:
        _doctor_ledger(as_json)
        return
    from autoresearch import doctor
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.terminal.doctor import print_findings

    protect_self()
    asked = rehearse if rehearse is not None else agent is not None
    findings = doctor.examine(Path.cwd(), {"device": device, "budget": budget, "agent": agent}, hours, asked)
    if as_json:
        print_json(findings.as_json())
    else:
        print_findings(findings, Console())
    if findings.blocked:
        raise typer.Exit(3)


def _doctor_ledger(as_json: bool) -> None:
    from autoresearch.analysis import consistency
    from autoresearch.setup import project
    from autoresearch.terminal.doctor import print_differences

    root = project.repository()
    if not (root / "runs" / "ledger.db").exists():
        raise UserError("there is no ledger yet: start a session with `autoresearch run`")
    differences = consistency.check(root)
    if as_json:
        print_json([vars(difference) for difference in differences])
    else:
        print_differences(differences, Console())
    if differences:
        raise typer.Exit(1)


@app.command(rich_help_panel=VERIFY)
def total(
    pairs: int = typer.Option(3, min=2, help="Pairs of trials: each is one of the base and one of the final version."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """The honest total: base against final on fresh seeds, on val and on holdout, with a 95 % interval."""
    from autoresearch.analysis.total import measure_total
    from autoresearch.terminal.total_view import print_total

    with again(tag) as measuring:
        found = measure_total(measuring, pairs)
        data = asdict(found)
        measuring.ledger.event(measuring.session.id, "total", f"{found.val.mean:+.4f} bits per byte", data=data)
    if as_json:
        print_json(data)
    else:
        print_total(found, Console())


@app.command(rich_help_panel=VERIFY)
def reproduce(
    n: int = typer.Argument(min=0, help="Number of the experiment; 0 is the base."),
    draws: int = typer.Option(2, min=1, help="Trials with fresh seeds."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Measure a version again, and say whether it agrees with the record. Exit code 1 where it does not."""
    from autoresearch.analysis.reproduce import reproduce as measure_again
    from autoresearch.terminal.total_view import print_reproduction

    with again(tag) as measuring:
        found = measure_again(measuring, n, draws)
    if as_json:
        print_json(asdict(found))
    else:
        print_reproduction(found, Console())
    if not found.agrees:
        raise typer.Exit(1)


@app.command(rich_help_panel=VERIFY)
def export(
    branch: str = typer.Option(None, help="A new branch on your base, with one commit for each kept change."),
    squash: bool = typer.Option(False, "--squash", help="One commit for all of them."),
    force: bool = typer.Option(False, "--force", help="Replace the branch if it exists."),
    tsv: Path = typer.Option(None, help="File for all experiments in the five columns of results.tsv."),
    jsonl: Path = typer.Option(None, help="File for all experiments with their texts and trials, as JSON lines."),
    sft: Path = typer.Option(
        None, help="File for what agents were asked, what they answered, what came of it, as JSON lines."
    ),
    checkpoint: Path = typer.Option(None, help="File for the incumbent's weights, for which it is trained once more."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Take a session home: a branch for review, a table, JSON lines, weights. Nothing is checked out or pushed."""
    from autoresearch import config
    from autoresearch.analysis import export as exports
    from autoresearch.analysis import sft as conversations
    from autoresearch.files import write_atomically
    from autoresearch.ledger import results_tsv
    from autoresearch.setup import project
    from autoresearch.workspace.workspace import Workspace

    _check_asked(branch, tsv, jsonl, sft, checkpoint)
    made, root = None, project.repository()
    with opened(tag) as (store, session):
        if branch:
            workspace = Workspace(root, config.load(root, {}).train)
            kept = exports.lineage(store, session)
            made = exports.branch(kept, workspace, branch, squash, force)
            _say_total(kept.total)
        files = [
            *([write_atomically(tsv, [results_tsv(store, session)])] if tsv else []),
            *([write_atomically(jsonl, exports.lines(store, session))] if jsonl else []),
            *([write_atomically(sft, conversations.lines(store, session, root / "runs"))] if sft else []),
        ]
    weights = _train_again(None, tag, checkpoint) if checkpoint else None
    if made:
        _say_unreviewed(made)
    if as_json:
        found = {"branch": asdict(made) if made else None, "files": [str(path) for path in files]}
        print_json({**found, "checkpoint": {**asdict(weights), "path": str(weights.path)} if weights else None})
        return
    if made:
        typer.echo(f"{made.name} {made.sha[:7]}: {len(made.experiments)} kept on {made.base[:7]}")
        typer.echo(f"to read it: `git log -p {made.base[:7]}..{made.name}`", err=True)
    if sft and not sft.stat().st_size:
        typer.echo(f"no model was asked in this session: {sft} is empty", err=True)
    for path in [*files, *([weights.path] if weights else [])]:
        typer.echo(path)


def _check_asked(branch: str | None, *files: Path | None) -> None:
    """Say what is wrong now, and not after minutes of training. Raises UsageError, UserError."""
    from autoresearch.files import resolve_links

    if not (branch or any(files)):
        raise UsageError("say what to export: --branch NAME, --tsv FILE, --jsonl FILE, --sft FILE, --checkpoint FILE")
    for path in filter(None, files):
        resolve_links(path)


def _say_total(total: "Total | None") -> None:
    """What the kept changes are worth together, as far as anybody knows."""
    from autoresearch.report.format import between

    words = f"{total.val.mean:+.4f}, {between(total.val)}" if total else "not measured yet: `autoresearch total`"
    typer.echo(f"the honest total: {words}", err=True)


def _say_unreviewed(made: "Branch") -> None:
    if made.unreviewed:
        numbers = ", ".join(map(str, made.unreviewed))
        hint = "read with `autoresearch show N`, then `autoresearch review N --accept`"
        typer.echo(f"nobody has reviewed what was kept here: experiments {numbers}; {hint}", err=True)
    if made.rejected:
        numbers = ", ".join(map(str, made.rejected))
        typer.echo(f"rejected, and still on it: experiments {numbers}; `autoresearch revert N` takes one out", err=True)


@app.command(rich_help_panel=VERIFY)
def sample(
    what: str = typer.Argument(None, help="An experiment, or a file of `export --checkpoint`; else the incumbent."),
    prompt: str = typer.Option("", help="The text that it goes on with."),
    tokens: int = typer.Option(200, min=1, max=100_000, help="How many tokens it adds."),
    temperature: float = typer.Option(0.8, min=0.0, help="How freely it chooses; with 0 always the likeliest."),
    seed: int = typer.Option(0, min=0, help="The same seed draws the same text."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Text that a version goes on with, drawn in a cell.

    For the weights of an experiment it is trained once more; they stay among its files.
    """
    from autoresearch.analysis import sampling
    from autoresearch.config import cache_folder
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.setup import project, slots

    protect_self()
    path = Path(what) if what and not what.isdecimal() else _weights(int(what) if what else None, tag)
    place = project.place({}, project.repository_or_here())
    with slots.hold([place.slot], cache_folder() / "locks"):
        found = sampling.draw(path, prompt, tokens, temperature, seed, place.settings, place.data)
    if as_json:
        print_json(asdict(found))
    else:
        typer.echo(f"{prompt}{found.text}")


def _weights(n: int | None, tag: str | None) -> Path:
    """The file of an experiment's weights among its artefacts, made if it is not there; by default the incumbent's."""
    from autoresearch.ledger.artefacts import Artefacts

    with opened(tag) as (store, session):
        n = _version(store, session, n).n
    path = Artefacts(store.path.parent / session.tag / str(n)).checkpoint
    return path if path.exists() else _train_again(n, tag, path).path


def _train_again(n: int | None, tag: str | None, path: Path) -> "Checkpoint":
    """Train a version, by default the incumbent, once more for its weights."""
    from autoresearch.analysis import checkpoint

    with again(tag) as measuring:
        experiment = _version(measuring.ledger, measuring.session, n)
        typer.echo(f"a session stores no weights: experiment {experiment.n} is trained once more", err=True)
        made = checkpoint.make(measuring, experiment, path)
    typer.echo(f"it scored {made.val_bpb:.6f} with seed {made.seed}; on record is {made.recorded:.6f}", err=True)
    return made


def _version(store: "Ledger", session: "Session", n: int | None) -> "Experiment":
    """An experiment that there is a commit of; None: the incumbent. Raises UserError."""
    from autoresearch import ledger

    best = n if n is not None else ledger.status(store, session, time.time())["best"]
    found = store.experiment(session.id, best) if best is not None else None
    if found is None or found.sha is None:
        raise UserError(f"session {session.tag} has no such version: see `autoresearch log --all`")
    return found
