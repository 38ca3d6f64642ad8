"""The user's own command, told when something happens that one may want to be woken for.

    finished    the session ended, and why
    new best    something was kept
    suspect     a score could not be confirmed
    needs you   the agent is away or cannot work, something stands in the way, or the program failed

The command runs beside the loop, one at a time, and never holds it up. What goes wrong with it is noted once.
"""

import json
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from autoresearch.errors import UserError, in_words
from autoresearch.ledger import Ledger, Session
from autoresearch.session.events import LedgerEvent, SessionClosed, SessionEvent, SessionOpened
from autoresearch.setup.project import Project
from autoresearch.text import one_line

WAITING = 16  # events that may wait for the command; more are dropped
AGAIN = 3600.0  # s after which the same trouble is told again
LONGEST = 500  # characters of a text
VERDICTS = {"keep": "new best", "suspect": "suspect"}


class Hook:
    """Runs `command` (a line for sh) for each event; `say` hears the first thing that goes wrong with it.

    Leaving the context waits for what is still to be told, for one time limit and a little more at most.
    """

    def __init__(
        self, command: str | None, folder: Path, seconds: float, say: Callable[[str], None], ledger: Path
    ) -> None:
        self.command, self.folder, self.seconds, self.say, self.ledger = command, folder, seconds, say, ledger
        self.session: Session | None = None
        self.failed = False
        self.told: tuple[str, float] = ("", 0.0)  # the last trouble, and when
        self.waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(WAITING)
        self.thread = threading.Thread(target=self._work, daemon=True)

    @classmethod
    def of(cls, project: Project, say: Callable[[str], None]) -> "Hook":
        """Create the hook that the project configures."""
        config = project.config
        return cls(config.on_event, project.root, config.on_event_seconds, say, project.ledger)

    def __enter__(self) -> "Hook":
        if self.command:
            self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Exception):
            self._tell("needs you", None, in_words(error))
        if self.thread.is_alive():
            with suppress(queue.Full):
                self.waiting.put_nowait(None)
            self.thread.join(self.seconds + 1)

    def handle(self, event: SessionEvent) -> None:
        """Run the command if an event is one of those above."""
        match event:
            case SessionOpened():
                self.session = event.session
            case SessionClosed():
                self._tell("finished", None, f"session {event.session.tag} ended: {event.reason}")
            case LedgerEvent("verdict", int(n)) if n > 0 and (name := VERDICTS.get(str(event.data.get("verdict")))):
                self._tell(name, n, f"experiment {n}: {event.text}", event.data)
            case LedgerEvent("absent") if event.text != self.told[0] or time.time() > self.told[1] + AGAIN:
                self.told = (event.text, time.time())
                self._tell("needs you", event.n, event.text, event.data)

    def _tell(self, event: str, n: int | None, text: str, data: dict[str, Any] | None = None) -> None:
        if not self.thread.is_alive():
            return
        facts = {name: _cut(value) if isinstance(value, str) else value for name, value in (data or {}).items()}
        tag = self.session.tag if self.session else ""
        told = {"event": event, "tag": tag, "n": n, "text": _cut(text), "at": time.time(), "data": facts}
        try:
            self.waiting.put_nowait(told)
        except queue.Full:
            self._note("it is too slow: an event was dropped")

    def _work(self) -> None:
        """In a thread of its own: one event after the other."""
        while (facts := self.waiting.get()) is not None:
            if (wrong := self._run(facts)) is not None:
                self._note(wrong)

    def _run(self, facts: dict[str, Any]) -> str | None:
        """Run the command once; what went wrong, if anything did."""
        told = {f"AUTORESEARCH_{name.upper()}": facts[name] for name in ("event", "tag", "text")}
        try:
            process = subprocess.Popen(
                ["sh", "-c", str(self.command)],
                cwd=self.folder,
                env=os.environ | told,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            return f"it cannot be started: {error.strerror}"
        try:
            process.communicate(json.dumps(facts).encode(), timeout=self.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"it took over {self.seconds:g} s and was ended"
        return f"its exit status was {process.returncode}" if process.returncode else None

    def _note(self, wrong: str) -> None:
        """Say and record what went wrong, the first time."""
        if self.failed:
            return
        self.failed = True
        words = f"the command of on_event failed: {wrong}"
        self.say(words)
        if self.session is not None:
            with suppress(UserError), Ledger.open(self.ledger) as ledger:
                ledger.event(self.session.id, "hook", words)


def _cut(text: str) -> str:
    """On one line of bearable length, without anything that a terminal obeys."""
    return one_line(text)[:LONGEST]
