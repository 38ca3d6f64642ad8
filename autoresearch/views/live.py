"""What `run` shows while it works: a line for each event and a bar for the running trial, on stderr."""

from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from autoresearch.ledger import Session
from autoresearch.measure.attack import Inspection
from autoresearch.measure.log import plain
from autoresearch.measure.result import Progress as TrialProgress
from autoresearch.session import Reporter
from autoresearch.start import Place

STYLES = {"keep": "bold green", "discard": "dim", "crash": "red", "suspect": "bold red", "invalid": "yellow"}
HIDDEN = {"trial"}


class Live(Reporter):
    """Prints events as they come; the bar only in a terminal."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[facts]}"), TimeElapsedColumn())
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task: TaskID | None = None

    def __enter__(self) -> "Live":
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()

    def say(self, text: str, style: str = "") -> None:
        """One line."""
        self.console.print(escape(plain(text)), style=style, highlight=False, soft_wrap=True)

    def opened(self, row: Session, place: Place, found: Inspection, dirty: bool) -> None:
        self.say(str(found))
        for weakness in found.weaknesses:
            self.say(f"WEAK: {weakness}", "bold red")
        if dirty:
            self.say(f"{place.config.train} has changes that are not committed: they are not used", "yellow")
        self.say(f"session {row.tag} on {place.slot.name}, budget {place.settings.budget}, agent {row.agent}")

    def closed(self, row: Session, reason: str, branch_follows: bool) -> None:
        self.say(f"{row.tag}: ended: {reason}")
        if not branch_follows:
            best = f"refs/autoresearch/{row.tag}/best"
            why = f"{row.branch} was left alone, for it is checked out, or was moved or deleted"
            self.say(f"{why}: `git merge --ff-only {best}` on it brings it up", "yellow")

    def event(self, kind: str, n: int | None, text: str, data: dict[str, Any]) -> None:
        if kind in HIDDEN:
            return
        number = "    " if n is None else f"{n:4}"
        self.say(f"{number}  {kind:9} {' '.join(text.split())}", STYLES.get(str(data.get("verdict")), ""))
        if kind == "measured" and self.task is not None:
            self.bar.remove_task(self.task)
            self.task = None

    def progress(self, n: int, purpose: str, progress: TrialProgress) -> None:
        if self.task is None:
            self.task = self.bar.add_task("", total=1.0, facts="")
        loss = progress.values.get("loss")
        facts = "" if loss is None else f"loss {loss:.3f}"
        words = f"{n:4}  {purpose} {progress.stage}"
        self.bar.update(self.task, completed=progress.fraction, description=words, facts=facts)
