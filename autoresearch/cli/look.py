"""Commands that look: status, log, show, diff, best."""

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console

from autoresearch.cli.app import JSON, LOOK, TAG, app, opened, print_json
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.artefacts import Artefacts
    from autoresearch.ledger import Experiment, Ledger, Session, Trial

VERDICTS = ("keep", "discard", "crash", "invalid", "duplicate", "suspect")


@app.command(rich_help_panel=LOOK)
def status(tag: str = TAG, as_json: bool = JSON) -> None:
    """Where the session stands: what runs, what was gained, until when, and where the time went."""
    from autoresearch import ledger
    from autoresearch.views.status import print_status

    with opened(tag) as (store, session):
        facts = ledger.status(store, session, time.time())
    if as_json:
        print_json(facts)
    else:
        print_status(facts, Console())


@app.command(rich_help_panel=LOOK)
def log(
    tag: str = TAG,
    every: bool = typer.Option(False, "--all", help="Everything that was tried, not only what was kept."),
    verdict: str = typer.Option("keep", help="Only these: keep, discard, crash, invalid, duplicate or suspect."),
    by: str = typer.Option(None, help="Sums instead: by agent, model, category, program or decile."),
    as_json: bool = JSON,
) -> None:
    """Kept commits, or with --all everything that was tried, oldest first; or with --by what it cost and brought."""
    from autoresearch import ledger
    from autoresearch.ledger import sums
    from autoresearch.views.log import print_log
    from autoresearch.views.sums import print_sums

    if verdict not in VERDICTS:
        raise UsageError(f"--verdict {verdict} is not known: use {', '.join(VERDICTS)}")
    if by is not None and by not in sums.KEYS:
        raise UsageError(f"--by {by} is not known: use {', '.join(sums.KEYS)}")
    with opened(tag) as (store, session):
        rows = ledger.log_rows(store, session)
        grouped = sums.sums(rows, store.calls(session.id), by) if by else None
    if grouped is not None:
        print_json(grouped) if as_json else print_sums(grouped, Console())
    elif as_json:
        print_json([row for row in rows if every or row["verdict"] == verdict])
    else:
        print_log(rows, Console(), every, verdict)


@app.command(rich_help_panel=LOOK)
def show(
    n: int = typer.Argument(min=0, help="Number of the experiment; 0 is the base."),
    tag: str = TAG,
    trace: bool = typer.Option(False, "--trace", help="How the proposal came about: brief, calls, rationale."),
    as_json: bool = JSON,
) -> None:
    """One experiment: hypothesis, verdict, trials, curve and change; or with --trace its proposal's story."""
    from autoresearch import start
    from autoresearch.artefacts import Artefacts
    from autoresearch.views.experiment import print_experiment, print_trace

    with opened(tag) as (store, session):
        experiment = _experiment(store, session, n)
        trials = store.trials(session.id, experiment.id)
    facts = _facts(experiment, trials, Artefacts(start.repository() / "runs" / session.tag / str(n)))
    if as_json:
        print_json(facts)
    elif trace:
        print_trace(facts["trace"], Console())
    else:
        print_experiment(facts, Console())


@app.command(rich_help_panel=LOOK)
def diff(
    n: int = typer.Argument(min=0, help="Number of an experiment; 0 is the base."),
    m: int = typer.Argument(min=0, help="Number of another one."),
    tag: str = TAG,
    as_json: bool = JSON,
) -> None:
    """How train.py of one experiment differs from that of another, as a patch."""
    from autoresearch import source
    from autoresearch.views.experiment import print_patch

    with opened(tag) as (store, session):
        before, after = (_experiment(store, session, each).text or "" for each in (n, m))
    patch = source.unified_diff(before, after)
    if as_json:
        added, removed = source.lines_changed(before, after)
        print_json({"n": n, "m": m, "patch": patch, "lines_added": added, "lines_removed": removed})
    elif sys.stdout.isatty():
        print_patch(patch, Console())
    else:
        sys.stdout.write(patch)


@app.command(rich_help_panel=LOOK)
def best(tag: str = TAG, as_json: bool = JSON) -> None:
    """The train.py of the incumbent: `autoresearch best > train.py` takes it over."""
    from autoresearch import ledger
    from autoresearch.measure.log import plain

    with opened(tag) as (store, session):
        facts = ledger.status(store, session, time.time())
        if facts["best"] is None:
            raise UserError("the base is not measured yet: there is no incumbent")
        incumbent = _experiment(store, session, facts["best"])
    text = incumbent.text or ""
    if as_json:
        found = {name: getattr(incumbent, name) for name in ("n", "sha", "val_bpb", "sigma", "hypothesis")}
        print_json({**found, "base_bpb": facts["base_bpb"], "grade": facts["grade"], "text": text})
    else:
        sys.stdout.write(plain(text) if sys.stdout.isatty() else text)


def _experiment(store: "Ledger", session: "Session", n: int) -> "Experiment":
    found = store.experiment(session.id, n)
    if found is None:
        raise UserError(f"session {session.tag} has no experiment {n}: see `autoresearch log --all`")
    return found


def _facts(experiment: "Experiment", trials: "list[Trial]", files: "Artefacts") -> dict[str, Any]:
    """An experiment with everything that belongs to it, as `show --json` has it."""
    from autoresearch.review.export import record

    patch = files.patch.read_text(errors="replace") if files.patch.exists() else ""
    lines = files.trace.read_text(errors="replace").splitlines() if files.trace.exists() else []
    return {**record(experiment, trials), "patch": patch, "trace": [_entry(line) for line in lines]}


def _entry(line: str) -> dict[str, Any]:
    """An entry of a trace; JSON for others has no NaN, and a killed program may have left half a line."""
    try:
        entry = json.loads(line, parse_constant=lambda name: None)
    except ValueError:
        return {"kind": "damaged", "text": line}
    return entry if isinstance(entry, dict) else {"kind": "damaged", "text": line}
