"""Follow a running session from another terminal by its ledger and its files."""

import time
from pathlib import Path

from rich.console import Console

from autoresearch import ledger
from autoresearch.ledger import Ledger, Session
from autoresearch.ledger.session_status import RunningTrial
from autoresearch.session.live import LiveTrial
from autoresearch.terminal.live_view import Screen

POLL_S = 1.0
EARLIER_EVENTS = 12  # that are shown at the start


def follow(store: Ledger, session: Session, runs: Path, console: Console, most_usd: float | None) -> str:
    """Show events and the running trial until the session stops; return its state. Reads only."""
    screen, seen = Screen(console), 0
    screen.most_usd = most_usd
    screen.open()
    try:
        while True:
            session = store.session(session.tag) or session
            news = store.events(session.id, after=seen)
            for event in news if seen else news[-EARLIER_EVENTS:]:
                screen.event(event.kind, event.n, event.text, event.data, event.at)
            if news or screen.status is None:
                seen = news[-1].id if news else seen
                screen.status = ledger.status(store, session, time.time())
            if (state := ledger.state(session)) in ("ended", "interrupted"):
                return state
            screen.running = _running(screen.status.trial, runs / session.tag)
            time.sleep(POLL_S)
    finally:
        screen.close()


def _running(trial: RunningTrial | None, folder: Path) -> LiveTrial | None:
    """Read the file of the running trial; None if it is of another trial."""
    found = LiveTrial.read(folder) if trial else None
    same = found and trial and (found.n, found.purpose) == (trial.n, trial.purpose)
    return found if same else None
