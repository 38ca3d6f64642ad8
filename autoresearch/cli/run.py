"""Commands that work: prepare, run, trial, note, pause, unpause, stop."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console

from autoresearch import ledger, night, plan, slots, start
from autoresearch.cli.app import app, print_json
from autoresearch.config import cache_folder
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger
from autoresearch.limits import Limits
from autoresearch.measure import machine
from autoresearch.measure.cell import protect_self
from autoresearch.measure.result import Result
from autoresearch.measure.trial import measure
from autoresearch.views.live import Live
from autoresearch.views.log import print_log, print_status
from autoresearch.views.trial import summary


@app.command()
def prepare(
    source: str = typer.Option(None, help="`stdlib` or `files:GLOB`."),
    vocab_size: int = typer.Option(None, help="Tokens in the vocabulary; 256 means plain bytes."),
    seq_len: int = typer.Option(None, help="Tokens in a row."),
    device: str = typer.Option(None, help="auto, cpu or cuda."),
) -> None:
    """Make the data set: corpus, tokenizer, packed rows. Does nothing when it is there."""
    flags = {"source": source, "vocab_size": vocab_size, "seq_len": seq_len, "device": device}
    place = start.place(flags, start.repository_or_here())
    typer.echo(place.data.root)


@app.command()
def run(
    hours: float = typer.Option(None, help="How long to go on from now."),
    minutes: float = typer.Option(None, help="The same in minutes."),
    max_experiments: int = typer.Option(None, help="Stop when this many are decided."),
    budget: str = typer.Option(None, help="Training budget of a trial: 5m, 300s, 15cpu, 200steps."),
    tag: str = typer.Option(None, help="Name of the session."),
    agent: str = typer.Option(None, help="sweep or scripted:DIR."),
    judge: str = typer.Option(None, help="default or greedy."),
    device: str = typer.Option(None, help="auto, cpu or cuda."),
    require_strong: bool = typer.Option(None, "--require-strong", help="Refuse a cell that is not STRONG."),
) -> None:
    """Start a session, or go on with the newest unfinished one on the same base."""
    flags = {"max_experiments": max_experiments, "budget": budget, "tag": tag, "agent": agent, "judge": judge}
    hours = minutes / 60 if minutes is not None else hours
    protect_self()
    place = start.place(flags | {"hours": hours, "device": device, "require_strong": require_strong})
    limits = Limits(_deadline(place.config.hours), place.config.max_experiments)
    with slots.hold(place.slot, cache_folder() / "locks"), Ledger.open(place.ledger) as store:
        with Live() as live, _signals(limits, live):
            reason, tag = night.spend(place, store, limits, live)
        _summary(store, tag)
    if reason == "interrupted":
        raise typer.Exit(130)


def _deadline(hours: float | None) -> float | None:
    return None if hours is None else time.time() + 3600 * hours


@contextmanager
def _signals(limits: Limits, live: Live) -> Iterator[None]:
    """The first Ctrl-C finishes the running trial, the second (or SIGTERM) kills it."""

    def interrupt(number: int, frame: Any) -> None:
        if limits.interrupted or number == signal.SIGTERM:
            raise KeyboardInterrupt
        limits.interrupted = True
        live.say("finishing the running trial; press Ctrl-C again to kill it", "yellow")

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _summary(store: Ledger, tag: str) -> None:
    session = store.session(tag)
    assert session is not None
    status = ledger.status(store, session, time.time())
    names = ("tag", "branch", "experiments", "kept", "base_bpb", "best_bpb", "sigma", "grade", "time_split")
    print_status({name: status[name] for name in names}, Console())
    print_log(ledger.log_rows(store, session, "keep"), Console())


@app.command()
def trial(
    file: Path = typer.Argument(Path("train.py"), help="The version to measure."),
    budget: str = typer.Option(None, help="Training budget: 5m, 300s, 15cpu, 200steps."),
    seed: int = typer.Option(0, help="Seed of the trial."),
    device: str = typer.Option(None, help="auto, cpu or cuda."),
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """One trial of a file through the whole honest protocol, no session."""
    if not file.is_file():
        raise UserError(f"there is no file {file}")
    protect_self()
    place = start.place({"budget": budget, "device": device}, start.repository_or_here())
    with slots.hold(place.slot, cache_folder() / "locks"), Live() as live:
        result = measure(
            plan.fitted(file.read_text(), place.slot.device), seed, place.settings, place.data, lambda progress: live.progress(0, file.name, progress)
        )
    if as_json:
        print_json(result.as_json())
    else:
        _print_trial(result, machine.gpu_name(place.slot.gpu))
    if result.outcome != "ok":
        raise typer.Exit(1)


def _print_trial(result: Result, gpu: str | None) -> None:
    """The original's `key: value` summary; the log of a failure goes to stderr."""
    typer.echo("---")
    for name, value in summary(result, gpu).items():
        typer.echo(f"{name + ':':18}{value}")
    if result.outcome != "ok":
        typer.echo(result.log[-2000:], err=True)


@app.command()
def note(text: str) -> None:
    """Tell the running session something; it reaches the next proposal."""
    _post("note", text)


@app.command()
def pause() -> None:
    """Let the running experiment end and wait."""
    _post("pause", "")


@app.command()
def unpause() -> None:
    """Go on after `pause`."""
    _post("unpause", "")


@app.command()
def stop() -> None:
    """Let the running experiment end and end the session; `run` goes on with it later."""
    _post("stop", "")


def _post(kind: str, text: str) -> None:
    with Ledger.open(start.repository() / "runs" / "ledger.db") as store:
        session = store.session()
        if session is None:
            raise UserError("no session yet: start one with `autoresearch run`")
        store.post(session.id, kind, text)
        typer.echo(f"{kind}: left for session {session.tag}", err=True)
