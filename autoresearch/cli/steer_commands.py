"""Commands for a running session: note, pause, unpause, stop. It reads them before its next proposal."""

from typing import TYPE_CHECKING

import typer

from autoresearch.cli.app import RUN, TAG, app, examples, open_ledger
from autoresearch.errors import UsageError, UserError

if TYPE_CHECKING:
    from autoresearch.ledger import Session


@app.command(rich_help_panel=RUN, epilog=examples('autoresearch note "try a longer warmdown"'))
def note(text: str = typer.Argument(help="Text of the note."), tag: str = TAG) -> None:
    """Send a note to the session: every brief contains it, from the next proposal on."""
    if not text.strip():
        raise UsageError('the note is empty: write it as `autoresearch note "try a longer warmdown"`')
    from autoresearch.session.opening import check_evaluator

    with open_ledger(tag, readonly=False) as (store, session):
        check_evaluator(session)  # nobody would ever read it
        store.post(session.id, "note", text.strip())
    when = "reads it before its next proposal"
    if _state(session) not in ("running", "paused"):
        when = f"is not running: it reads the note when `autoresearch run --tag {session.tag}` continues it"
    typer.echo(f"session {session.tag} {when}", err=True)
    if session.agent.partition(":")[0] in ("sweep", "scripted"):
        typer.echo(f"the agent of this session, {session.agent}, follows no notes; language models do", err=True)


@app.command(rich_help_panel=RUN)
def pause(tag: str = TAG) -> None:
    """Let the running experiment end, then wait for `unpause`. The deadline does not move."""
    _post("pause", tag, "pauses after the running experiment; `autoresearch unpause` continues it")


@app.command(rich_help_panel=RUN)
def unpause(tag: str = TAG) -> None:
    """Continue a paused session."""
    _post("unpause", tag, "continues")


@app.command(rich_help_panel=RUN)
def stop(tag: str = TAG) -> None:
    """Let the running experiments end, then end the session with its honest total; `run` can continue it later.

    A second `stop`, or one during the honest total, leaves it out.
    """
    later = "`autoresearch run` can continue it later"
    first = f"ends after the running experiment and its honest total, which a second `stop` leaves out; {later}"
    _post("stop", tag, first, f"ends after the running experiment, without its honest total; {later}")


def _post(kind: str, tag: str | None, consequence: str, of_second: str | None = None) -> None:
    """Post a message to the process that runs a session: a later one does not read it. Raises UserError.

    `of_second` is the consequence if this process has got one before.
    """
    from autoresearch.ledger.queries import has_event_in_this_run

    with open_ledger(tag, readonly=False) as (store, session):
        state = _state(session)
        if state not in ("running", "paused"):
            raise UserError(f"session {session.tag} is not running ({state}): there is nothing to {kind}")
        if of_second is not None and has_event_in_this_run(store, session, kind):
            consequence = of_second
        store.post(session.id, kind, "")
    typer.echo(f"session {session.tag} {consequence}", err=True)


def _state(session: "Session") -> str:
    from autoresearch import ledger

    return ledger.state(session)
