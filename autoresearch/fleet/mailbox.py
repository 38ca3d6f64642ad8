"""What a trial on a node says to its driver while it runs, and asks it; the driver looks twice a second.

An actor of Ray holds it: the driver may be a client without a port that nodes could reach.
"""

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from autoresearch.measure.result import Progress

REPORT_S = 0.5  # between two reports of one trial
ANSWER_POLL_S = 0.2
ANSWER_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Report:
    """What a trial has said last: its node, its progress, and a score of which it asks whether it may be kept."""

    node: str
    progress: Progress
    question: float | None = None


class Mailbox:
    """Hold the newest report of each trial that runs, and answers for it."""

    def __init__(self) -> None:
        self._reports: dict[str, Report] = {}
        self._answers: dict[str, bool] = {}
        self._unwanted = set[str]()

    def report(self, key: str, report: Report) -> bool:
        """Take a report; return whether the trial is not wanted any more. Nobody reads those of such a trial."""
        if key in self._unwanted:
            return True
        self._reports[key] = report
        return False

    def end(self, key: str) -> None:
        """Let a trial end at its next report."""
        self._unwanted.add(key)

    def read(self, key: str) -> Report | None:
        return self._reports.get(key)

    def answer(self, key: str, answer: bool) -> None:
        self._answers[key] = answer
        self._reports[key] = replace(self._reports[key], question=None)

    def take_answer(self, key: str) -> bool | None:
        return self._answers.pop(key, None)

    def forget(self, key: str) -> None:
        """Drop what is known of a trial; one that should end may still run, and is told so."""
        self._reports.pop(key, None)
        self._answers.pop(key, None)


class Reporter:
    """The end of a mailbox on a node, for one trial."""

    def __init__(self, mailbox: Any, key: str, node: str) -> None:
        self._mailbox, self._key = mailbox, key
        self._report = Report(node, Progress("setup"))
        self._next = 0.0
        self._is_unwanted = False
        self._reply: Any = None
        self._send()

    def watch(self, progress: Progress) -> None:
        self._report = replace(self._report, progress=progress)
        if time.monotonic() >= self._next:
            self._send()

    def is_unwanted(self) -> bool:
        """Return whether the driver does not want the trial any more, as it said to the last report."""
        import ray

        if self._reply is not None and ray.wait([self._reply], timeout=0)[0]:
            with suppress(ray.exceptions.RayError):  # the mailbox starts again
                self._is_unwanted = bool(ray.get(self._reply))
            self._reply = None
        if time.monotonic() >= self._next:
            self._send()
        return self._is_unwanted

    def wants_holdout(self, val_bpb: float) -> bool:
        """Ask the driver whether a score may be kept; without an answer the holdout is measured."""
        import ray

        self._report = replace(self._report, question=val_bpb)
        self._send()
        deadline = time.monotonic() + ANSWER_TIMEOUT_S
        answer: bool | None = None
        try:
            while answer is None and time.monotonic() < deadline:
                time.sleep(ANSWER_POLL_S)
                answer = ray.get(self._mailbox.take_answer.remote(self._key), timeout=ANSWER_TIMEOUT_S)
        except ray.exceptions.RayError:  # the mailbox is lost: its node has ended
            answer = None
        self._report = replace(self._report, question=None)
        return True if answer is None else answer

    def _send(self) -> None:
        self._next = time.monotonic() + REPORT_S
        self._reply = self._mailbox.report.remote(self._key, self._report)
