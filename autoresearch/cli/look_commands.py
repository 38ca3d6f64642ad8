"""Commands that look: watch, status, log, show, diff, best."""

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, LOOK, TAG, app, examples, open_ledger, print_code, print_json
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.files import JsonObject
    from autoresearch.ledger import Experiment, ExperimentRow, Ledger, Session
    from autoresearch.ledger.breakdown import GroupSums


@app.command(rich_help_panel=LOOK)
def watch(tag: str = TAG) -> None:
    """Follow a running session from another terminal.

    Ctrl-C ends the watching, not the session; the exit code is 0.
    """
    from autoresearch import config, ledger
    from autoresearch.report import status as page
    from autoresearch.terminal.console import print_blocks
    from autoresearch.terminal.watch import follow

    with open_ledger(tag) as (store, session):
        runs = store.path.parent
        try:
            follow(store, session, runs, Console(), config.load(runs.parent, {}).max_usd)
        except KeyboardInterrupt:
            return
        now = time.time()
        state = ledger.status(store, store.session(session.tag) or session, now)
        print_blocks([page.layout(state, now)], Console())


@app.command(rich_help_panel=LOOK)
def status(tag: str = TAG, as_json: bool = JSON) -> None:
    """Show the state of a session: what runs, scores, deadline, cost and time."""
    from autoresearch import ledger
    from autoresearch.report import status as page
    from autoresearch.terminal.console import print_blocks

    now = time.time()
    with open_ledger(tag) as (store, session):
        state = ledger.status(store, session, now)
    if as_json:
        print_json(state.as_json())
    else:
        print_blocks([page.layout(state, now)], Console())


@app.command(
    rich_help_panel=LOOK, epilog=examples("autoresearch log --all --since yesterday", "autoresearch log --by category")
)
def log(
    tag: str = TAG,
    every: bool = typer.Option(False, "--all", help="Show all experiments, not only the keeps."),
    verdict: str = typer.Option(None, help="One verdict: keep, discard, crash, invalid, duplicate, suspect."),
    since: str = typer.Option(None, help="Start at: 2h, 30m, yesterday, 2026-11-20, or an experiment's number."),
    by: str = typer.Option(None, help="Print sums by agent, model, category, mode, program, decile or arm."),
    as_json: bool = JSON,
) -> None:
    """List the keeps, or all experiments, oldest first; or sum up cost and gain by group."""
    from autoresearch import ledger
    from autoresearch.cli.since import Since, parse_since
    from autoresearch.ledger import breakdown
    from autoresearch.report import experiment_table, results
    from autoresearch.terminal import pager

    only = verdict or (None if every else "keep")
    if only not in (None, *ledger.VERDICTS):
        raise UsageError(f"there is no verdict `{verdict}`: use {', '.join(ledger.VERDICTS)}")
    if by is not None and by not in (*breakdown.KEYS, breakdown.ARM):
        raise UsageError(f"log cannot group by `{by}`: use {', '.join((*breakdown.KEYS, breakdown.ARM))}")
    if by and verdict:
        raise UsageError("log --by sums up experiments of all verdicts: leave out --verdict")
    if by == breakdown.ARM:
        if since:
            raise UsageError("log --by arm counts whole sessions: leave out --since")
        return _log_by_arm(tag, as_json)
    start = parse_since(since, datetime.now()) if since else Since()
    with open_ledger(tag) as (store, session):
        verdicts = () if only is None or by else (only, "suspect")
        rows = [row for row in ledger.experiment_rows(store, session, *verdicts) if start.holds(row)]
        calls = store.calls(session.id) if by else []
        groups = breakdown.sum_groups(rows, calls, by) if by else []
        words = _first_words(rows, session.tag, store.path.parent) if by == "program" else {}
    shown = [row for row in rows if only in (None, row.verdict)]
    if as_json:
        print_json([_group_json(each, words) for each in groups] if by else [row.as_json() for row in shown])
    elif by:
        whole = [breakdown.sum_all(rows, calls, by)] if by == "category" and groups else []
        pager.show([results.breakdown([*groups, *whole], by, session.metric, words), *results.unpriced(calls)])
    else:
        pager.show(experiment_table.log(rows, shown, _describe_empty(only, since)))


def _log_by_arm(tag: str | None, as_json: bool) -> None:
    from autoresearch.analysis.arm_counts import count_arms
    from autoresearch.judge.arm_comparison import describe_arms
    from autoresearch.ledger import experiment_rows
    from autoresearch.report import arm_table
    from autoresearch.report.blocks import Paragraph
    from autoresearch.terminal import pager

    with open_ledger(tag) as (store, session):
        arms = count_arms(store, session, experiment_rows(store, session))
    if as_json:
        print_json([figures.as_json() for figures in describe_arms(arms)])
    else:
        pager.show(arm_table.layout(arms, session.metric) if arms else [Paragraph(["nothing was tried yet"], "large")])


def _first_words(rows: "Sequence[ExperimentRow]", tag: str, runs: Path) -> dict[str, str]:
    from autoresearch import config
    from autoresearch.analysis.programs import first_words
    from autoresearch.analysis.summary import read_program

    root = runs.parent
    return first_words(rows, runs / tag, read_program(root / config.load(root, {}).program))


def _group_json(group: "GroupSums", words: Mapping[str, str]) -> "JsonObject":
    return group.as_json() | ({"text": words.get(group.key)} if group.by == "program" else {})


def _describe_empty(only: str | None, since: str | None) -> str:
    """Return the line of `log` if no experiment matches."""
    when = f" since {since}" if since else ""
    if only is None:
        return f"nothing was tried{when or ' yet'}"
    if only == "keep":
        return f"nothing was kept{when or ' yet'}: --all lists all experiments"
    return f"no experiment{when} has the verdict {only}"


@app.command(rich_help_panel=LOOK, epilog=examples("autoresearch show", "autoresearch show 12 --trace"))
def show(
    n: int = typer.Argument(None, min=0, help="Number of the experiment; 0 is the base. By default the incumbent."),
    tag: str = TAG,
    trace: bool = typer.Option(False, "--trace", help="Show the steps of the proposal: brief, calls, rationale."),
    as_json: bool = JSON,
) -> None:
    """Show one experiment: hypothesis, verdict, trials, curve, change; or the proposal's trace."""
    from autoresearch.analysis.experiment_details import read_experiment
    from autoresearch.report import experiment as page
    from autoresearch.terminal import pager

    with open_ledger(tag) as (store, session):
        n = _incumbent(store, session) if n is None else n
        details = read_experiment(store, session, store.path.parent, _experiment(store, session, n))
    if as_json:
        print_json(details.as_json())
    else:
        pager.show(page.trace(details.trace) if trace else page.layout(details))


@app.command(rich_help_panel=LOOK, epilog=examples("autoresearch diff 12", "autoresearch diff 0 12"))
def diff(
    n: int = typer.Argument(min=0, help="Number of an experiment; 0 is the base."),
    m: int = typer.Argument(None, min=0, help="Number of the other one. Without it, the change of N to its parent."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """Show how train.py of one experiment differs from that of another, as a patch."""
    from autoresearch.source.diff import lines_changed, unified_diff

    with open_ledger(tag) as (store, session):
        n, m = (n, m) if m is not None else _parent_and(store, session, n)
        before, after = (_experiment(store, session, each).text or "" for each in (n, m))
    patch = unified_diff(before, after)
    if as_json:
        added, removed = lines_changed(before, after)
        print_json({"n": n, "m": m, "patch": patch, "lines_added": added, "lines_removed": removed})
    else:
        print_code(patch, "diff")


@app.command(rich_help_panel=LOOK, epilog=examples("autoresearch best > best.py", "autoresearch best --write"))
def best(
    tag: str = TAG,
    write: bool = typer.Option(
        False, "--write", help="Put it in the place of your train.py, as a whole or not at all."
    ),
    force: bool = typer.Option(False, "--force", help="With --write: replace changes that are not committed."),
    as_json: bool = JSON,
) -> None:
    """Print the train.py of the incumbent, or put it in the place of yours. Nothing is committed."""
    from autoresearch import ledger

    if force and not write:
        raise UsageError("--force belongs to --write")
    with open_ledger(tag) as (store, session):
        state = ledger.status(store, session, time.time())
        incumbent = _experiment(store, session, _incumbent(store, session))
        known = {row.blob for row in store.experiments(session.id)} if write else set()
    text = incumbent.text or ""
    if write:
        name = _replace_train(text, known, force)
        typer.echo(f"{name} is now that of experiment {incumbent.n} of session {session.tag}", err=True)
    if as_json:
        facts = {name: getattr(incumbent, name) for name in ("n", "sha", "val_bpb", "hypothesis")}
        print_json({**facts, "sigma": state.sigma, "base_bpb": state.base_bpb, "grade": state.grade, "text": text})
    elif not write:
        print_code(text, "python")


def _replace_train(text: str, known: set[str | None], force: bool) -> str:
    """Put a text in the place of the user's train.py and return its name. Raises UserError if changes would be lost."""
    from autoresearch import config
    from autoresearch.setup import project
    from autoresearch.workspace.workspace import Workspace

    root = project.repository()
    workspace = Workspace.of(root, config.load(root, {}))
    workspace.user_files.replace(text, known, force)
    return workspace.file


def _incumbent(store: "Ledger", session: "Session") -> int:
    from autoresearch import ledger

    best = ledger.status(store, session, time.time()).best
    if best is None:
        raise UserError("the base is not measured yet: there is no incumbent")
    return best


def _parent_and(store: "Ledger", session: "Session", n: int) -> tuple[int, int]:
    """Return the number of an experiment's parent, and its own."""
    parent = _experiment(store, session, n).parent
    if parent is None:
        raise UsageError(f"experiment {n} is the base, without a parent: name another experiment to compare it with")
    return parent, n


def _experiment(store: "Ledger", session: "Session", n: int) -> "Experiment":
    experiment = store.experiment(session.id, n)
    if experiment is None:
        raise UserError(f"session {session.tag} has no experiment {n}: see `autoresearch log --all`")
    return experiment
