"""Commands that look: status, watch, log, show, diff, best."""

import sys
import time
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, LOOK, TAG, app, opened, print_json
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.ledger import Experiment, Ledger, Session
    from autoresearch.ledger.artefacts import Artefacts


@app.command(rich_help_panel=LOOK)
def status(tag: str = TAG, as_json: bool = JSON) -> None:
    """Where the session stands: what runs, what was gained, until when, and where the time went."""
    from autoresearch import ledger
    from autoresearch.terminal.status import print_status

    with opened(tag) as (store, session):
        facts = ledger.status(store, session, time.time())
    if as_json:
        print_json(facts)
    else:
        print_status(facts, Console())


@app.command(rich_help_panel=LOOK)
def watch(tag: str = TAG) -> None:
    """Follow a running session from another terminal. Ctrl-C ends the watching, not the session; the exit code is 0."""
    from autoresearch import config, ledger
    from autoresearch.terminal.status import print_status
    from autoresearch.terminal.watch import follow

    with opened(tag) as (store, session):
        runs = store.path.parent
        try:
            follow(store, session, runs, Console(), config.load(runs.parent, {}).max_usd)
        except KeyboardInterrupt:
            return
        print_status(ledger.status(store, store.session(session.tag) or session, time.time()), Console())


@app.command(rich_help_panel=LOOK)
def log(
    tag: str = TAG,
    every: bool = typer.Option(False, "--all", help="Everything that was tried, not only what was kept."),
    verdict: str = typer.Option(None, help="Only: keep (if not --all), discard, crash, invalid, duplicate, suspect."),
    since: str = typer.Option(None, help="From then on: 2h, 30m, yesterday, 2026-11-20, or an experiment's number."),
    by: str = typer.Option(None, help="Sums instead: by agent, model, category, program or decile."),
    as_json: bool = JSON,
) -> None:
    """Kept commits, or with --all everything that was tried, oldest first; or with --by what it cost and brought."""
    from autoresearch import ledger
    from autoresearch.cli.since import Since, parse_since
    from autoresearch.ledger import breakdown
    from autoresearch.terminal import pager
    from autoresearch.terminal.breakdown_view import print_sums
    from autoresearch.terminal.log import print_log

    only = verdict or (None if every else "keep")
    if only not in (None, *ledger.VERDICTS):
        raise UsageError(f"--verdict {verdict} is not known: use {', '.join(ledger.VERDICTS)}")
    if by is not None and by not in breakdown.KEYS:
        raise UsageError(f"--by {by} is not known: use {', '.join(breakdown.KEYS)}")
    from_then = parse_since(since, datetime.now()) if since else Since()
    with opened(tag) as (store, session):
        verdicts = () if only is None or by else (only, "suspect")
        rows = [row for row in ledger.log_rows(store, session, *verdicts) if from_then.holds(row)]
        grouped = breakdown.sums(rows, store.calls(session.id), by) if by else None
    shown = [row for row in rows if only in (None, row["verdict"])]
    if grouped is not None:
        print_json(grouped) if as_json else print_sums(grouped, Console())
    elif as_json:
        print_json(shown)
    else:
        pager.show(lambda console: print_log(rows, console, shown, _none(only, since)))


def _none(only: str | None, since: str | None) -> str:
    """What `log` says where there is nothing to show."""
    when = f" since {since}" if since else ""
    if only is None:
        return f"nothing was tried{when or ' yet'}"
    if only == "keep":
        return f"nothing was kept{when or ' yet'}: --all shows what there is"
    return f"no experiment{when} is {only}"


@app.command(rich_help_panel=LOOK)
def show(
    n: int = typer.Argument(min=0, help="Number of the experiment; 0 is the base."),
    tag: str = TAG,
    trace: bool = typer.Option(False, "--trace", help="How the proposal came about: brief, calls, rationale."),
    as_json: bool = JSON,
) -> None:
    """One experiment: hypothesis, verdict, trials, curve and change; or with --trace its proposal's story."""
    from autoresearch.terminal import pager
    from autoresearch.terminal.experiment import print_experiment, print_trace

    with opened(tag) as (store, session):
        experiment = _experiment(store, session, n)
        found = _facts(store, session, experiment)
        parent = store.experiment(session.id, experiment.parent) if experiment.parent is not None else None
        before = _facts(store, session, parent) if parent else None
        found["rows"] = _rows(store, session, experiment, parent) if parent else None
    if as_json:
        print_json(found)
    elif trace:
        pager.show(lambda console: print_trace(found["trace"], console))
    else:
        pager.show(lambda console: print_experiment(found, before, console))


@app.command(rich_help_panel=LOOK)
def diff(
    n: int = typer.Argument(min=0, help="Number of an experiment; 0 is the base."),
    m: int = typer.Argument(min=0, help="Number of another one."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """How train.py of one experiment differs from that of another, as a patch."""
    from autoresearch.source.diff import lines_changed, unified_diff
    from autoresearch.terminal import pager
    from autoresearch.terminal.patch import print_patch

    with opened(tag) as (store, session):
        before, after = (_experiment(store, session, each).text or "" for each in (n, m))
    patch = unified_diff(before, after)
    if as_json:
        added, removed = lines_changed(before, after)
        print_json({"n": n, "m": m, "patch": patch, "lines_added": added, "lines_removed": removed})
    elif sys.stdout.isatty():
        pager.show(lambda console: print_patch(patch, console))
    else:
        sys.stdout.write(patch)


@app.command(rich_help_panel=LOOK)
def best(tag: str = TAG, as_json: bool = JSON) -> None:
    """The train.py of the incumbent: `autoresearch best > train.py` takes it over."""
    from autoresearch import ledger
    from autoresearch.terminal import pager
    from autoresearch.text import plain_text

    with opened(tag) as (store, session):
        facts = ledger.status(store, session, time.time())
        if facts["best"] is None:
            raise UserError("the base is not measured yet: there is no incumbent")
        incumbent = _experiment(store, session, facts["best"])
    text = incumbent.text or ""
    if as_json:
        found = {name: getattr(incumbent, name) for name in ("n", "sha", "val_bpb", "sigma", "hypothesis")}
        print_json({**found, "base_bpb": facts["base_bpb"], "grade": facts["grade"], "text": text})
    elif sys.stdout.isatty():
        pager.show(
            lambda console: console.print(plain_text(text), markup=False, highlight=False, soft_wrap=True, end="")
        )
    else:
        sys.stdout.write(text)


def _experiment(store: "Ledger", session: "Session", n: int) -> "Experiment":
    found = store.experiment(session.id, n)
    if found is None:
        raise UserError(f"session {session.tag} has no experiment {n}: see `autoresearch log --all`")
    return found


def _facts(store: "Ledger", session: "Session", experiment: "Experiment") -> dict[str, Any]:
    """An experiment with everything that belongs to it, as `show --json` has it."""
    from autoresearch import ledger
    from autoresearch.analysis import ablate
    from autoresearch.analysis.export import record, trial_record
    from autoresearch.analysis.sft import entry
    from autoresearch.source import size

    files = _files(store, session, experiment)
    patch = files.patch.read_text(errors="replace") if files.patch.exists() else ""
    lines = files.trace.read_text(errors="replace").splitlines() if files.trace.exists() else []
    code, said = size.size_or_none(experiment.text), ledger.reviews(store, session.id).get(experiment.n)
    beside = ledger.beside(store, session, [experiment.n])[experiment.n]
    part = ablate.part_of(store.events(session.id, kind="ablation"), experiment.n)
    return {
        **record(experiment, store.trials(session.id, experiment.id)),
        "simpler": ledger.simpler(experiment.verdict, experiment.reason),
        "error": ledger.standard_errors(store, session).get(experiment.n),
        "beside": [{"n": n, **trial_record(trial, trial.blob)} for n, trial in beside],
        "size": asdict(code) if code else None,
        "review": asdict(said) if said else None,
        "ablation": {**asdict(part), "carries": part.carries} if part else None,
        "patch": patch,
        "trace": [entry(line) for line in lines],
    }


def _rows(store: "Ledger", session: "Session", experiment: "Experiment", parent: "Experiment") -> dict[str, Any] | None:
    """How it did on the rows of its parent, as far as these are still there."""
    from autoresearch.analysis import paired

    own, other = (paired.scored(_files(store, session, each)) for each in (experiment, parent))
    found = paired.compared(own, other)
    return asdict(found) if found else None


def _files(store: "Ledger", session: "Session", experiment: "Experiment") -> "Artefacts":
    from autoresearch.ledger.artefacts import Artefacts

    return Artefacts(store.path.parent / session.tag / str(experiment.n))
