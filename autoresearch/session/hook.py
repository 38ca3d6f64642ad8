"""The user's own command, run at events that one may want to be woken for.

    finished    the session ended, and why
    new best    a version was kept
    suspect     a score could not be confirmed
    needs you   the agent is away or cannot work, something stands in the way, or the program failed

The command runs beside the loop, one event at a time, and never delays it. Its first failure is reported, once.
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

from autoresearch.errors import UserError, describe_error
from autoresearch.files import JsonObject
from autoresearch.ledger import Ledger, Session
from autoresearch.session.events import LedgerEvent, SessionClosed, SessionEvent, SessionOpened
from autoresearch.setup.project import Project
from autoresearch.text import one_line

MAX_QUEUED = 16  # events that may wait for the command; more are dropped
REPEAT_AFTER_S = 3600.0  # the same trouble is reported again
MAX_TEXT_CHARS = 500
VERDICTS = {"keep": "new best", "suspect": "suspect"}


class Hook:
    """Run `command` (a line for sh) for each event; `say` gets its first failure.

    Leaving the context waits for the events that are queued, for one time limit and a second at most.
    """

    def __init__(
        self, command: str | None, folder: Path, seconds: float, say: Callable[[str], None], ledger: Path
    ) -> None:
        self.command, self.folder, self.seconds, self.say, self.ledger = command, folder, seconds, say, ledger
        self.session: Session | None = None
        self.failed = False
        self.last_trouble: tuple[str, float] = ("", 0.0)  # text and time
        self.queue: queue.Queue[JsonObject | None] = queue.Queue(MAX_QUEUED)
        self.thread = threading.Thread(target=self._work, daemon=True)

    @classmethod
    def of(cls, project: Project, say: Callable[[str], None]) -> "Hook":
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
            self._enqueue("needs you", None, describe_error(error))
        if self.thread.is_alive():
            with suppress(queue.Full):
                self.queue.put_nowait(None)
            self.thread.join(self.seconds + 1)

    def handle(self, event: SessionEvent) -> None:
        match event:
            case SessionOpened():
                self.session = event.session
            case SessionClosed():
                self._enqueue("finished", None, f"session {event.session.tag} ended: {event.reason}")
            case LedgerEvent("verdict", int(n)) if n > 0 and (name := VERDICTS.get(str(event.data.get("verdict")))):
                self._enqueue(name, n, f"experiment {n}: {event.text}", event.data)
            case LedgerEvent("absent") if self._is_new_trouble(event.text):
                self.last_trouble = (event.text, time.time())
                self._enqueue("needs you", event.n, event.text, event.data)

    def _is_new_trouble(self, text: str) -> bool:
        last, at = self.last_trouble
        return text != last or time.time() > at + REPEAT_AFTER_S

    def _enqueue(self, event: str, n: int | None, text: str, data: JsonObject | None = None) -> None:
        if not self.thread.is_alive():
            return
        facts = {name: _shorten(value) if isinstance(value, str) else value for name, value in (data or {}).items()}
        tag = self.session.tag if self.session else ""
        message = {"event": event, "tag": tag, "n": n, "text": _shorten(text), "at": time.time(), "data": facts}
        try:
            self.queue.put_nowait(message)
        except queue.Full:
            self._report_failure("it is too slow: an event was dropped")

    def _work(self) -> None:
        """Run the command for one event after the other, in a thread of its own."""
        while (message := self.queue.get()) is not None:
            if (failure := self._run(message)) is not None:
                self._report_failure(failure)

    def _run(self, message: JsonObject) -> str | None:
        """Run the command once; return its failure, if it failed."""
        variables = {f"AUTORESEARCH_{name.upper()}": message[name] for name in ("event", "tag", "text")}
        try:
            process = subprocess.Popen(
                ["sh", "-c", str(self.command)],
                cwd=self.folder,
                env=os.environ | variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            return f"it cannot be started: {error.strerror}"
        try:
            process.communicate(json.dumps(message).encode(), timeout=self.seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"it took over {self.seconds:g} s and was ended"
        return f"its exit status was {process.returncode}" if process.returncode else None

    def _report_failure(self, failure: str) -> None:
        if self.failed:
            return
        self.failed = True
        words = f"the command of on_event failed: {failure}"
        self.say(words)
        if self.session is not None:
            with suppress(UserError), Ledger.open(self.ledger) as ledger:
                ledger.event(self.session.id, "hook", words)


def _shorten(text: str) -> str:
    return one_line(text)[:MAX_TEXT_CHARS]
