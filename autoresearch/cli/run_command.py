"""The command that runs a session."""

import math
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from autoresearch.cli.app import RUN, app, examples, warn_of_unread_settings
from autoresearch.cli.slot import say_line
from autoresearch.errors import UsageError, require

if TYPE_CHECKING:
    from autoresearch.ledger import Ledger, Session
    from autoresearch.ledger.session_status import SessionStatus
    from autoresearch.session.stopping import Limits
    from autoresearch.setup.project import Project
    from autoresearch.terminal.live_view import Live


@app.command(
    rich_help_panel=RUN,
    epilog=examples(
        "autoresearch run --hours 8",
        "autoresearch run --agent claude --max-usd 10 --hours 8",
        "autoresearch run --until 07:00 --target 2.00",
        "autoresearch run --tag nov28 --from nov27",
    ),
)
def run(
    hours: float = typer.Option(None, help="Hours to run, from now."),
    minutes: float = typer.Option(None, help="Minutes to run, from now."),
    until: str = typer.Option(None, help="Time of day to run until, such as 07:00."),
    target: float = typer.Option(None, help="Score at which the session ends."),
    max_experiments: int = typer.Option(None, help="Stop when this many experiments are decided."),
    budget: str = typer.Option(None, help="Training budget of a trial: 5m, 300s, 15cpu, 200steps."),
    tag: str = typer.Option(None, help="Name of the session."),
    origin: str = typer.Option(None, "--from", help="Start a new session from the best version of this session."),
    agent: str = typer.Option(
        None,
        help="Agent: auto, sweep, claude[:MODEL], openai[:MODEL], ollama:MODEL, command:TOOL or scripted:DIR; several"
        " as claude,sweep; mix: the `arms` of autoresearch.yaml.",
    ),
    model: str = typer.Option(None, help="Model for claude, openai or ollama, or for the tool of command."),
    max_usd: float = typer.Option(None, help="Limit on the cost of all model calls, in dollars."),
    judge: str = typer.Option(None, help="Rule for a keep: default, strict or greedy."),
    device: str = typer.Option(None, help="Device: auto, cpu or cuda."),
    slots: str = typer.Option(None, help="Slots for parallel trials, such as 0,1: cards or groups of cores."),
    ray: str = typer.Option(
        None, "--ray", help="Run the trials on a Ray cluster: auto, HOST:PORT or ray://HOST:PORT (docs/fleet.md)."
    ),
    nodes: str = typer.Option(None, help="With --ray, the nodes that run trials: part of the name of their card."),
    pool: list[str] = typer.Option(
        None,
        metavar="ROLE=CARD",
        help="With --ray, cards of two kinds: --pool confirm=H200 --pool screen=H100 (docs/fleet.md).",
    ),
    wait: bool = typer.Option(False, "--wait", help="Wait until the slots are free; the hours count from then."),
    require_strong: bool = typer.Option(None, "--require-strong", help="Refuse to run if the cell is not STRONG."),
) -> None:
    """Start a session, or continue the newest unfinished one on the same base."""
    from autoresearch.cli.researcher import settle_agent
    from autoresearch.ledger import Ledger
    from autoresearch.ledger.rows import AGENT_EXHAUSTED
    from autoresearch.sandbox.cell import protect_self
    from autoresearch.session.deadline import end_of_run
    from autoresearch.session.hook import Hook
    from autoresearch.session.opening import open_session_project
    from autoresearch.session.run import run_session
    from autoresearch.session.stopping import Limits
    from autoresearch.setup.slots import lock
    from autoresearch.terminal.live_view import Live
    from autoresearch.terminal.standard_streams import make_best_effort

    flags: dict[str, object] = {"budget": budget, "tag": tag, "agent": agent, "model": model, "judge": judge}
    flags |= {"max_experiments": max_experiments, "max_usd": max_usd, "device": device, "slots": slots}
    flags |= {"hours": _hours(hours, minutes, until), "until": until, "target": target}
    flags |= {"require_strong": require_strong, "ray": ray, "nodes": nodes, "pools": pool or None}
    asked = time.time()
    # the session is recorded, whoever reads its summary
    sys.stdout = make_best_effort(sys.stdout.fileno(), sys.stdout.encoding)
    protect_self()
    warn_of_unread_settings()
    project = open_session_project(flags, origin, settle_agent)
    with lock(project.slots, say_line if wait else None), Ledger.open(project.ledger) as ledger:
        limits = Limits(end_of_run(project.config, asked), project.config.max_experiments, project.config.target)
        with Live(project) as live, Hook(project, live.say) as hook, _handle_signals(limits, live):
            reason, tag = run_session(project, ledger, limits, [live.handle, hook.handle], origin)
        facts = _print_end(ledger, require(ledger.session(tag)), project)
    if reason == "interrupted":
        raise typer.Exit(130)
    if reason.startswith(AGENT_EXHAUSTED) and not facts.experiments:
        raise typer.Exit(1)  # the agent had nothing to try


def _hours(hours: float | None, minutes: float | None, until: str | None) -> float | None:
    """Return the length of the session from the two flags for it. Raises UsageError."""
    if minutes is None:
        return hours
    if other := "--hours" if hours is not None else "--until" if until is not None else "":
        raise UsageError(f"{other} and --minutes are both given: choose one of them")
    if not 0 < minutes < math.inf:
        raise UsageError(f"--minutes: {minutes:g} should be a number greater than 0")
    return minutes / 60


@contextmanager
def _handle_signals(limits: "Limits", live: "Live") -> Iterator[None]:
    """Finish the running trial at the first Ctrl-C; kill it at the second, at SIGTERM, or when the terminal closes."""

    def interrupt(number: int, frame: object) -> None:
        if limits.interrupted or number != signal.SIGINT:
            raise KeyboardInterrupt
        limits.interrupted = True
        live.say("finishing the running trial; press Ctrl-C again to kill it", "yellow")

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # `nohup` and `disown` ignore it
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _print_end(ledger: "Ledger", session: "Session", project: "Project") -> "SessionStatus":
    """Print the summary of a session and, as the last line, what to do next; return its status."""
    from autoresearch.ledger import status

    now = time.time()
    facts = status(ledger, session, now)
    _print_summary(ledger, session, facts, now)
    sys.stdout.flush()
    _print_next_step(ledger, session, facts, project)
    return facts


def _print_summary(ledger: "Ledger", session: "Session", facts: "SessionStatus", now: float) -> None:
    from autoresearch.ledger import experiment_rows
    from autoresearch.report import experiment_table
    from autoresearch.report.status import layout
    from autoresearch.terminal.console import print_blocks

    rows = experiment_rows(ledger, session, "keep", "suspect")
    print_blocks([layout(facts, now)], Console())
    print_blocks(experiment_table.log(rows), Console())


def _print_next_step(ledger: "Ledger", session: "Session", facts: "SessionStatus", project: "Project") -> None:
    from autoresearch.report.next_step import describe_next_step
    from autoresearch.session.untaken import find_untaken, is_taken
    from autoresearch.terminal.console import print_line
    from autoresearch.workspace.workspace import Workspace

    workspace, newest = Workspace.of(project.root, project.config), require(ledger.session())
    best = ledger.experiment(session.id, facts.best) if facts.best else None
    taken, untaken = best is not None and is_taken(workspace, best), find_untaken(ledger, workspace, session)
    print_line(describe_next_step(facts, taken, newest.id == session.id, untaken))
