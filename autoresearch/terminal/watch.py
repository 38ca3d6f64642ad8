"""A running session, followed from another terminal: what its ledger and its files say, read once a second."""

import time
from pathlib import Path

from rich.console import Console

from autoresearch import ledger
from autoresearch.ledger import Ledger, Session
from autoresearch.session.live import LiveTrial
from autoresearch.terminal.live_view import Screen

INTERVAL = 1.0  # s
BEFORE = 12  # events that are shown of the time before


def follow(store: Ledger, session: Session, runs: Path, console: Console, most_usd: float | None) -> str:
    """Show what happens until nobody works on the session any more; returns its state. Reads only."""
    screen, seen = Screen(console), 0
    screen.most_usd = most_usd
    screen.open()
    try:
        while True:
            session = store.session(session.tag) or session
            news = store.events(session.id, after=seen)
            for event in news if seen else news[-BEFORE:]:
                screen.event(event.kind, event.n, event.text, event.data, event.at)
            if news or screen.status is None:
                seen = news[-1].id if news else seen
                screen.status = ledger.status(store, session, time.time())
            if (state := ledger.state(session)) in ("ended", "interrupted"):
                return state
            screen.running = _running(screen.status["trial"], runs / session.tag)
            time.sleep(INTERVAL)
    finally:
        screen.close()


def _running(trial: dict[str, object] | None, folder: Path) -> LiveTrial | None:
    """What the session's program left of the trial that runs; a file of another trial is none."""
    found = LiveTrial.read(folder) if trial else None
    same = found and trial and (found.n, found.purpose) == (trial["n"], trial["purpose"])
    return found if same else None
