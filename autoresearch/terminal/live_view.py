"""What `run` shows while it works: a line for each event, on stderr, and in a terminal a few below that change."""

import time
from types import TracebackType
from typing import Any

from rich.console import Console, Group
from rich.live import Live as Bottom
from rich.text import Text

from autoresearch import ledger
from autoresearch.measure.result import Progress
from autoresearch.report.format import duration
from autoresearch.sandbox.selftest import Inspection
from autoresearch.session.events import Reporter
from autoresearch.session.live import Recorder, Running
from autoresearch.setup.project import Project
from autoresearch.terminal.board import board
from autoresearch.text import plain_text

STYLES = {"keep": "bold green", "discard": "dim", "crash": "red", "suspect": "bold red", "invalid": "yellow"}
HIDDEN = {"trial", "waited"}
REFRESH = 2.0  # a second
LONGEST = 1000  # characters of a line
WAITING = {
    "proposed": "is about to be measured",
    "waited": "is about to be measured",
    "trial": "starts",
    "measured": "is between two trials",
}


class Screen:
    """Lines that stay, and the board below them, which goes when it is closed. Without a terminal there is no board."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.running: Running | None = None
        self.status: dict[str, Any] | None = None
        self.most_usd: float | None = None
        self.last: tuple[str, int | None, float] | None = None  # kind, experiment and time of the last event
        shown = console.is_terminal and not console.is_dumb_terminal
        below = Bottom(console=console, transient=True, refresh_per_second=REFRESH, get_renderable=self.board)
        self.bottom = below if shown else None

    def open(self) -> None:
        """Begin to show the board."""
        if self.bottom is not None:
            self.bottom.start()

    def close(self) -> None:
        """Take the board away; the lines stay."""
        if self.bottom is not None:
            self.bottom.stop()

    def say(self, text: str, style: str = "") -> None:
        """One line, of bearable length."""
        self.console.print(Text(plain_text(text[:LONGEST]), style), soft_wrap=True)

    def event(self, kind: str, n: int | None, text: str, data: dict[str, Any], at: float) -> None:
        """Something that happened, as a line."""
        self.last = (kind, n, at)
        if kind not in HIDDEN:
            number = "    " if n is None else f"{n:4}"
            self.say(f"{number}  {kind:9} {' '.join(text.split())}", STYLES.get(str(data.get("verdict")), ""))

    def board(self) -> Group:
        """The lines at the bottom, as they are now."""
        now = time.time()
        return Group(*board(self.running, self.status, self._doing(now), now, self.console.width, self.most_usd))

    def _doing(self, now: float) -> str:
        if self.status is None or self.last is None:
            return ""
        kind, n, at = self.last
        if self.status["state"] == "paused":
            return "      paused: `autoresearch unpause` lets it go on"
        if kind in WAITING:
            return f"{n:4}  {WAITING[kind]}"
        return f"      {self.status['agent']} works on a proposal, {duration(now - at)}"


class Live(Reporter):
    """The screen of a program that measures."""

    def __init__(self, console: Console | None = None, gpu: str | None = None) -> None:
        self.screen = Screen(console or Console(stderr=True))
        self.recorder = Recorder(gpu)
        self.place: Project | None = None
        self.tag = ""

    def __enter__(self) -> "Live":
        self.screen.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.screen.close()

    def say(self, text: str, style: str = "") -> None:
        """One line."""
        self.screen.say(text, style)

    def opened(self, row: ledger.Session, place: Project, found: Inspection, dirty: bool) -> None:
        self.recorder.opened(row, place, found, dirty)
        self.place, self.tag = place, row.tag
        self.say(str(found))
        for weakness in found.weaknesses:
            self.say(f"WEAK: {weakness}", "bold red")
        if dirty:
            self.say(f"{place.config.train} has changes that are not committed: they are not used", "yellow")
        self.say(
            f"session {row.tag} on {', '.join(slot.name for slot in place.slots)}, budget {place.settings.budget}, agent {row.agent}"
        )
        self.screen.last, self.screen.most_usd = ("opened", None, time.time()), place.config.max_usd
        self._look()

    def closed(self, row: ledger.Session, reason: str, branch_follows: bool) -> None:
        self.recorder.closed(row, reason, branch_follows)
        self.say(f"{row.tag}: ended: {reason}")
        if not branch_follows:
            best = f"refs/autoresearch/{row.tag}/best"
            why = f"{row.branch} was left alone, for it is checked out, or was moved or deleted"
            self.say(f"{why}: `git merge --ff-only {best}` on it brings it up", "yellow")

    def event(self, kind: str, n: int | None, text: str, data: dict[str, Any]) -> None:
        self.recorder.event(kind, n, text, data)
        self.screen.running = self.recorder.running
        self.screen.event(kind, n, text, data, time.time())
        if kind in ("measured", "verdict", "state"):
            self._look()

    def progress(self, n: int, purpose: str, progress: Progress) -> None:
        self.recorder.progress(n, purpose, progress)
        self.screen.running = self.recorder.running

    def _look(self) -> None:
        """Where the session stands now, for the board."""
        if self.screen.bottom is not None and self.place is not None:
            with ledger.Ledger.open(self.place.ledger, readonly=True) as store:
                session = store.session(self.tag)
                self.screen.status = ledger.status(store, session, time.time()) if session else None
