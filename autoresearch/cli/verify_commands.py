"""Commands that verify and export: total, transfer, reproduce, export, sample."""

import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, SLOTS, TAG, VERIFY, WAIT, app, examples, open_ledger, print_json
from autoresearch.cli.slot import open_remeasurer, say_line
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.analysis.checkpoint import Checkpoint
    from autoresearch.analysis.export import Branch
    from autoresearch.analysis.total import Total
    from autoresearch.ledger import Experiment, Ledger, Session


@app.command(rich_help_panel=VERIFY, epilog=examples("autoresearch total", "autoresearch total --pairs 5"))
def total(
    pairs: int = typer.Option(3, min=2, help="Pairs of trials, one of the base and one of the final version each."),
    slots: str = SLOTS,
    wait: bool = WAIT,
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Measure the honest total: base against final version on fresh seeds, on val and holdout, with 95 % intervals."""
    from autoresearch.analysis.total import measure_total
    from autoresearch.report import results
    from autoresearch.terminal.console import print_blocks

    with open_remeasurer(tag, slots, wait) as measuring:
        result = measure_total(measuring, pairs)
        data = asdict(result)
        metric = measuring.session.metric
        gain = metric.with_unit(metric.change(result.val.mean))
        measuring.ledger.event(measuring.session.id, "total", gain, data=data)
    if as_json:
        print_json(data)
    else:
        print_blocks([results.total(result, metric)], Console())


@app.command(
    rich_help_panel=VERIFY,
    epilog=examples("autoresearch transfer --budget 20m", "autoresearch transfer --keeps --budget 20m --pairs 5"),
)
def transfer(
    n: int = typer.Argument(None, min=1, help="Number of a kept experiment; by default the incumbent."),
    budget: str = typer.Option(..., help="Longer training budget of a trial: 20m, 60cpu, 800steps."),
    keeps: bool = typer.Option(False, "--keeps", help="Measure each keep against the one before it, too."),
    pairs: int = typer.Option(3, min=2, help="Seeds on which each version is measured, at both budgets."),
    slots: str = SLOTS,
    wait: bool = WAIT,
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Measure what share of the gain over the base survives at a longer budget, and which keeps lose over half."""
    from autoresearch.analysis import transfer as analysis
    from autoresearch.report import longer_budget
    from autoresearch.terminal.console import print_blocks

    with open_remeasurer(tag, slots, wait) as measuring:
        longer = analysis.require_longer(measuring.referee.settings.budget, budget)
        versions = analysis.choose_versions(measuring.ledger, measuring.session, n, keeps)
        series = analysis.both_series(measuring, measuring.with_budget(longer), pairs)
        say_line(analysis.describe_work(series, versions))
        result = analysis.measure_transfer(series, versions)
        words = longer_budget.describe(result)
        measuring.ledger.event(measuring.session.id, "transfer", words, data=asdict(result))
    if as_json:
        print_json(result.as_json())
    else:
        print_blocks(longer_budget.layout(result), Console())


@app.command(rich_help_panel=VERIFY)
def reproduce(
    n: int = typer.Argument(min=0, help="Number of the experiment; 0 is the base."),
    draws: int = typer.Option(2, min=1, help="Number of trials with fresh seeds."),
    slots: str = SLOTS,
    wait: bool = WAIT,
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Measure a version again and compare it with the record. Exit code 1 if they do not agree."""
    from autoresearch.analysis.reproduce import reproduce as measure_again
    from autoresearch.report import results
    from autoresearch.terminal.console import print_blocks

    with open_remeasurer(tag, slots, wait) as measuring:
        result, metric = measure_again(measuring, n, draws), measuring.session.metric
    if as_json:
        print_json(asdict(result))
    else:
        print_blocks([results.reproduction(result, metric)], Console())
    if not result.agrees:
        raise typer.Exit(1)


@app.command(
    rich_help_panel=VERIFY,
    epilog=examples("autoresearch export --branch tuned", "autoresearch export --tsv results.tsv --jsonl night.jsonl"),
)
def export(
    branch: str = typer.Option(None, help="A new branch on your base, with one commit for each kept change."),
    squash: bool = typer.Option(False, "--squash", help="Put all kept changes into one commit."),
    force: bool = typer.Option(False, "--force", help="Replace the branch if it exists."),
    tsv: Path = typer.Option(None, help="File for all experiments in the five columns of results.tsv."),
    jsonl: Path = typer.Option(None, help="File for all experiments with their texts and trials, as JSON lines."),
    sft: Path = typer.Option(
        None,
        help="File for the conversations with agents, as JSON lines; beside it, pairs of a kept and a lost change.",
    ),
    checkpoint: Path = typer.Option(None, help="File for the weights of the incumbent, which is trained once more."),
    slots: str = SLOTS,
    wait: bool = WAIT,
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Export a session: a branch for review, a table, JSON lines, weights. Nothing is checked out or pushed."""
    from autoresearch import config
    from autoresearch.analysis import export as exports
    from autoresearch.setup import project
    from autoresearch.workspace.workspace import Workspace

    _check_options(branch, tsv, jsonl, sft, checkpoint)
    made, root = None, project.repository()
    with open_ledger(tag) as (store, session):
        if branch:
            workspace = Workspace.of(root, config.load(root, {}))
            kept = exports.read_lineage(store, session)
            made = exports.create_branch(kept, workspace, branch, squash, force)
            _say_total(kept.total, session)
        files = _write_files(store, session, root / "runs", tsv, jsonl, sft)
    weights = _train_again(None, tag, checkpoint, slots, wait) if checkpoint else None
    if made:
        _say_doubts(made)
    if as_json:
        summary = {"branch": asdict(made) if made else None, "files": [str(path) for path in files]}
        print_json({**summary, "checkpoint": {**asdict(weights), "path": str(weights.path)} if weights else None})
        return
    if made:
        typer.echo(f"{made.name} {made.sha[:7]}: {len(made.experiments)} kept on {made.base[:7]}")
        typer.echo(f"read it with `git log -p {made.base[:7]}..{made.name}`", err=True)
    if sft and not sft.stat().st_size:
        typer.echo(f"no model was asked in this session: {sft} is empty", err=True)
    for path in [*files, *([weights.path] if weights else [])]:
        typer.echo(path)


def _check_options(branch: str | None, *files: Path | None) -> None:
    """Check the options before minutes of training. Raises UsageError, UserError."""
    from autoresearch.files import resolve_links

    if not (branch or any(files)):
        raise UsageError("name an export: --branch NAME, --tsv FILE, --jsonl FILE, --sft FILE, --checkpoint FILE")
    for path in filter(None, files):
        resolve_links(path)


def _write_files(
    store: "Ledger", session: "Session", runs: Path, tsv: Path | None, jsonl: Path | None, sft: Path | None
) -> list[Path]:
    """Write the files of experiments that were asked for, and return their paths."""
    from autoresearch.analysis import export, preferences
    from autoresearch.analysis import sft as conversations
    from autoresearch.files import write_atomically
    from autoresearch.ledger import results_tsv

    files = [
        *([write_atomically(tsv, [results_tsv(store, session)])] if tsv else []),
        *([write_atomically(jsonl, export.lines(store, session))] if jsonl else []),
    ]
    if sft:
        files.append(write_atomically(sft, conversations.lines(store, session, runs)))
        files.append(write_atomically(_pairs_path(sft), preferences.lines(store, session)))
    return files


def _pairs_path(sft: Path) -> Path:
    """Return the file for the preference pairs beside that for the conversations."""
    return sft.with_name(f"{sft.stem}.pairs{sft.suffix}")


def _say_total(total: "Total | None", session: "Session") -> None:
    from autoresearch.report.format import between

    has_holdout, metric = session.settings.get("holdout", True), session.metric
    words = "not measured yet: `autoresearch total`" if has_holdout else "none: there is no holdout"
    if total:
        words = f"{metric.change(total.val.mean)}, {between(total.val, metric.change)}"
    typer.echo(f"the honest total: {words}", err=True)


def _say_doubts(made: "Branch") -> None:
    again = "an earlier export may contain them: make it again with --force"
    _say_numbers("kept at first, found suspect later, and not on the branch", made.suspects, again)
    read = "read each with `autoresearch show N`, then `autoresearch review N --accept`"
    _say_numbers("kept without a review", made.unreviewed, read)
    _say_numbers("rejected, but still on the branch", made.rejected, "`autoresearch revert N` removes one")


def _say_numbers(words: str, numbers: Sequence[int], hint: str) -> None:
    if numbers:
        typer.echo(f"{words}: experiments {', '.join(map(str, numbers))}; {hint}", err=True)


@app.command(rich_help_panel=VERIFY, epilog=examples('autoresearch sample --prompt "My fellow citizens"'))
def sample(
    what: str = typer.Argument(
        None, help="An experiment, or a file of `export --checkpoint`; by default the incumbent."
    ),
    prompt: str = typer.Option("", help="Text to continue."),
    tokens: int = typer.Option(200, min=1, max=100_000, help="Tokens to add."),
    temperature: float = typer.Option(0.8, min=0.0, help="Temperature of sampling; 0 takes the most likely token."),
    seed: int = typer.Option(0, min=0, help="Seed of sampling."),
    slots: str = SLOTS,
    wait: bool = WAIT,
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Continue a text with a version, in a cell.

    An experiment is trained once more for its weights, which are stored among its files.
    """
    from autoresearch.analysis import sampling
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.setup.project import open_project, repository_or_here
    from autoresearch.setup.slots import lock

    protect_self()
    path = Path(what) if what and not what.isdecimal() else _weights(int(what) if what else None, tag, slots, wait)
    project = open_project({"slots": slots}, repository_or_here(), pinned=sampling.read_origin(path).data)
    reserve = lock([project.slot], say_line if wait else None)
    result = sampling.draw(path, prompt, tokens, temperature, seed, project.settings, project.data, reserve)
    if as_json:
        print_json(asdict(result))
    else:
        typer.echo(f"{prompt}{result.text}")


def _weights(n: int | None, tag: str | None, slots: str | None, wait: bool) -> Path:
    """Return the file with the weights of an experiment, trained if it is missing; None: the incumbent."""
    from autoresearch.ledger.artefacts import Artefacts

    with open_ledger(tag) as (store, session):
        n = _version(store, session, n).n
    path = Artefacts(store.path.parent / session.tag / str(n)).checkpoint
    return path if path.exists() else _train_again(n, tag, path, slots, wait).path


def _train_again(n: int | None, tag: str | None, path: Path, slots: str | None, wait: bool) -> "Checkpoint":
    """Train a version once more for its weights; None: the incumbent."""
    from autoresearch.analysis import checkpoint

    with open_remeasurer(tag, slots, wait) as measuring:
        experiment = _version(measuring.ledger, measuring.session, n)
        typer.echo(f"a session stores no weights: experiment {experiment.n} is trained once more", err=True)
        made = checkpoint.make(measuring, experiment, path)
    typer.echo(f"it scored {made.val_bpb:.6f} with seed {made.seed}; recorded: {made.recorded:.6f}", err=True)
    return made


def _version(store: "Ledger", session: "Session", n: int | None) -> "Experiment":
    """Return an experiment that has a commit; None: the incumbent. Raises UserError."""
    from autoresearch import ledger

    best = n if n is not None else ledger.status(store, session, time.time()).best
    experiment = store.experiment(session.id, best) if best is not None else None
    if experiment is None or experiment.sha is None:
        raise UserError(f"session {session.tag} has no such version: see `autoresearch log --all`")
    return experiment
