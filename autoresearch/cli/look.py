"""Commands that look: status, log, show."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import typer
from rich.console import Console

from autoresearch import ledger, start
from autoresearch.artefacts import Artefacts
from autoresearch.cli.app import app, print_json
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, Session
from autoresearch.views.log import print_experiment, print_log, print_status

TAG = typer.Option(None, help="Which session; the newest by default.")
JSON = typer.Option(False, "--json", help="Print JSON.")


@contextmanager
def _opened(tag: str | None) -> Iterator[tuple[Ledger, Session]]:
    with Ledger.open(start.repository() / "runs" / "ledger.db", readonly=True) as store:
        session = store.session(tag)
        if session is None:
            raise UserError(f"there is no session {tag or ''}: start one with `autoresearch run`")
        yield store, session


@app.command()
def status(tag: str = TAG, as_json: bool = JSON) -> None:
    """Where the session stands."""
    with _opened(tag) as (store, session):
        facts = ledger.status(store, session, time.time())
    if as_json:
        print_json(facts)
    else:
        print_status(facts, Console())


@app.command()
def log(
    tag: str = TAG, every: bool = typer.Option(False, "--all", help="Not only the kept ones."), as_json: bool = JSON
) -> None:
    """Kept commits, or all experiments."""
    with _opened(tag) as (store, session):
        rows = ledger.log_rows(store, session, None if every else "keep")
    if as_json:
        print_json(rows)
    else:
        print_log(rows, Console())


@app.command()
def show(n: int, tag: str = TAG, as_json: bool = JSON) -> None:
    """One experiment: hypothesis, verdict, trials and the change."""
    with _opened(tag) as (store, session):
        experiment = store.experiment(session.id, n)
        if experiment is None:
            raise UserError(f"session {session.tag} has no experiment {n}: see `autoresearch log --all`")
        row = asdict(experiment)
        trials = [asdict(trial) for trial in store.trials(session.id, experiment.id)]
    patch = Artefacts(start.repository() / "runs" / session.tag / str(n)).patch
    if as_json:
        print_json({**row, "trials": trials})
    else:
        print_experiment(row, trials, patch.read_text() if patch.exists() else "", Console())
