"""Show the progress of `run` on stderr: event lines, and in a terminal a board below."""

import time
from textwrap import fill
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live as Bottom
from rich.text import Text

from autoresearch import ledger
from autoresearch.config import MIX
from autoresearch.ledger import Session
from autoresearch.ledger.event_writer import write_event
from autoresearch.ledger.session_status import SessionStatus
from autoresearch.ledger.unmeasured import is_carried_over
from autoresearch.report.format import duration
from autoresearch.report.next_step import describe_untaken
from autoresearch.session.events import LedgerEvent, SessionClosed, SessionEvent, SessionOpened
from autoresearch.session.live import LiveTrial, LiveTrialRecorder
from autoresearch.setup.project import Project
from autoresearch.terminal.board import board
from autoresearch.terminal.standard_streams import output_failure
from autoresearch.text import plain_text

STYLES = {"keep": "bold green", "discard": "dim", "crash": "red", "suspect": "bold red", "invalid": "yellow"}
HIDDEN = {"trial", "waited", "conversed", "behind"}
REFRESHES_PER_S = 2.0
MAX_LINE_CHARS = 1000
WAITING = {
    "proposed": "is about to be measured",
    "waited": "is about to be measured",
    "trial": "starts",
    "measured": "is between two trials",
}


class Screen:
    """Lines that stay, and in a terminal the board below them until it is closed."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.running: LiveTrial | None = None
        self.status: SessionStatus | None = None
        self.most_usd: float | None = None
        self.last: tuple[str, int | None, float] | None = None  # kind, experiment and time of the last event
        shown = console.is_terminal and not console.is_dumb_terminal
        below = Bottom(console=console, transient=True, refresh_per_second=REFRESHES_PER_S, get_renderable=self.board)
        self.bottom = below if shown else None

    def open(self) -> None:
        if self.bottom is not None:
            self.bottom.start()

    def close(self) -> None:
        """Remove the board; the lines stay."""
        if self.bottom is not None:
            self.bottom.stop()

    def say(self, text: str, style: str = "") -> None:
        self.console.print(Text(plain_text(text[:MAX_LINE_CHARS]), style), soft_wrap=True)

    def event(self, kind: str, n: int | None, text: str, data: dict[str, Any], at: float) -> None:
        """Print an event as a line; what is carried over to a newer incumbent has one already."""
        self.last = (kind, n, at)
        if kind not in HIDDEN and not (kind == "verdict" and is_carried_over(text.removeprefix("discard: "))):
            start = f"{'' if n is None else n:4}  {kind:9} "
            line = start + " ".join(text[:MAX_LINE_CHARS].split())
            if self.console.is_terminal:
                line = fill(line, self.console.width, subsequent_indent=" " * len(start), break_on_hyphens=False)
            self.say(line, STYLES.get(str(data.get("verdict")), ""))

    def board(self) -> Group:
        """Return the lines at the bottom, as they are now."""
        now = time.time()
        return Group(*board(self.running, self.status, self._doing(now), now, self.console.width, self.most_usd))

    def _doing(self, now: float) -> str:
        if self.status is None or self.last is None:
            return ""
        kind, n, at = self.last
        if self.status.state == "paused":
            return "      paused: `autoresearch unpause` continues it"
        if kind in WAITING:
            return f"{n:4}  {WAITING[kind]}"
        who = "one of the arms" if self.status.agent.startswith(f"{MIX}: ") else self.status.agent
        return f"      {who} works on a proposal, {duration(now - at)}"


class Live:
    """The screen of a program that measures."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.screen = Screen(Console(stderr=True))
        self.recorder = LiveTrialRecorder(project.slot.gpu, project.runs)
        self.session: Session | None = None  # that is shown
        self.is_loss_recorded = False

    def __enter__(self) -> "Live":
        self.screen.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.screen.close()

    def say(self, text: str, style: str = "") -> None:
        self.screen.say(text, style)

    def handle(self, event: SessionEvent) -> None:
        """Show an event of a session."""
        self.recorder.handle(event)
        self.screen.running = self.recorder.running
        match event:
            case SessionOpened():
                self._show_opening(event)
            case LedgerEvent():
                self.screen.event(event.kind, event.n, event.text, event.data, time.time())
                if event.kind in ("measured", "verdict", "state"):
                    self._read_status()
            case SessionClosed():
                self._show_end(event)
        self._record_loss()

    def _show_opening(self, event: SessionOpened) -> None:
        session, config = event.session, self.project.config
        self.session = session
        self.say(str(event.inspection))
        for weakness in event.inspection.weaknesses:
            self.say(f"WEAK: {weakness}", "bold red")
        if event.dirty:
            files = f"{config.train} has" if self.project.command is None else "your files have"
            self.say(f"{files} uncommitted changes, which are not used", "yellow")
        slots, budget = ", ".join(slot.name for slot in self.project.slots), self.project.settings.budget
        self.say(f"session {session.tag} on {slots}, budget {budget}, agent {session.agent}")
        if session.started_from:
            self.say(str(session.started_from))
        if event.untaken is not None:
            self.say(describe_untaken(event.untaken, event.session.settings.get("belief")), "yellow")
        self.screen.last, self.screen.most_usd = ("opened", None, time.time()), config.max_usd
        self._read_status()

    def _show_end(self, event: SessionClosed) -> None:
        session = event.session
        self.say(f"{session.tag}: ended: {event.reason}")
        if not event.branch_follows:
            best = f"refs/autoresearch/{session.tag}/best"
            why = f"{session.branch} was not updated, because it is checked out, or was moved or deleted"
            self.say(f"{why}: `git merge --ff-only {best}` on it updates it", "yellow")

    def _record_loss(self) -> None:
        """Record, once, that lines could not be printed: the session goes on without them."""
        failure = output_failure(self.screen.console.file)
        if failure and self.session is not None and not self.is_loss_recorded:
            words = f"its lines cannot be printed ({failure}): `autoresearch watch` shows them elsewhere"
            self.is_loss_recorded = write_event(self.project.ledger, self.session.id, "output", words)

    def _read_status(self) -> None:
        """Read the status of the session for the board."""
        if self.screen.bottom is not None and self.session is not None:
            with ledger.Ledger.open(self.project.ledger, readonly=True) as store:
                session = store.session(self.session.tag)
                self.screen.status = ledger.status(store, session, time.time()) if session else None
