"""Run the user's own command at important events (docs/guide.md).

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

from autoresearch.errors import describe_error
from autoresearch.files import JsonObject
from autoresearch.ledger import Session
from autoresearch.ledger.event_writer import write_event
from autoresearch.session.events import LedgerEvent, SessionClosed, SessionEvent, SessionOpened
from autoresearch.setup.project import Project
from autoresearch.text import one_line

MAX_QUEUED = 16  # events that may wait for the command; more are dropped
REPEAT_AFTER_S = 3600.0  # the same trouble is reported again
MAX_TEXT_CHARS = 500
VERDICTS = {"keep": "new best", "suspect": "suspect"}


class Hook:
    """Run the command (a line for sh) for each event; `say` gets its first failure."""

    def __init__(self, project: Project, say: Callable[[str], None]) -> None:
        self.project, self.say = project, say
        self.command, self.seconds = project.config.on_event, project.config.on_event_seconds
        self.session: Session | None = None
        self.failed = False
        self.last_trouble, self.repeat_at = "", 0.0
        self.queue: queue.Queue[JsonObject | None] = queue.Queue(MAX_QUEUED)
        self.thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> "Hook":
        if self.command:
            self.thread.start()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Wait for the events that are queued, for one time limit and a second at most."""
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
            case LedgerEvent("demoted", int(n)) if event.data:
                self._enqueue("suspect", n, f"experiment {n}: {event.text}", event.data)
            case LedgerEvent("absent") if self.last_trouble != event.text or time.time() > self.repeat_at:
                self.last_trouble, self.repeat_at = event.text, time.time() + REPEAT_AFTER_S
                self._enqueue("needs you", event.n, event.text, event.data)

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
        while (message := self.queue.get()) is not None:
            if (failure := self._run(message)) is not None:
                self._report_failure(failure)

    def _run(self, message: JsonObject) -> str | None:
        """Run the command once; return its failure, if it failed."""
        variables = {f"AUTORESEARCH_{name.upper()}": message[name] for name in ("event", "tag", "text")}
        try:
            process = subprocess.Popen(
                ["sh", "-c", str(self.command)],
                cwd=self.project.root,
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
            write_event(self.project.ledger, self.session.id, "hook", words)


def _shorten(text: str) -> str:
    return one_line(text)[:MAX_TEXT_CHARS]
