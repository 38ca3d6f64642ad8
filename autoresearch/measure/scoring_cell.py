"""One question to a fresh cell about a checkpoint: its phases, their limits, and what it may do in each.

    load     the cell builds the model and answers twice about random tokens of the same shape
    answer   the text arrives batch by batch; from here on the cell can only compute (sandbox/compute_only.py)

Both are limited: training that is hidden in them would be outside of the budget. Each answer is copied before the next
batch is shown, and no batch may take much longer than the others.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from autoresearch.files import JsonObject
from autoresearch.measure import wire
from autoresearch.measure.cell_process import CellProcess, Harness, open_cell
from autoresearch.measure.clock import Budget, Clock
from autoresearch.measure.reported_errors import error_class
from autoresearch.measure.settings import TrialPlan, jitter
from autoresearch.sandbox.cell import reopen
from autoresearch.sandbox.grade import SECOND_FILTER

START_LIMIT = Budget(120.0, "s")  # for our own code in the cell
MAX_FAULTS = 25  # pages that an answering cell may wait for, which leave some 500 bits behind; normally none
POLL_S = 0.25


class EvaluationError(Exception):
    """A scoring cell gave no answer to believe; holds no text of its exception, which may quote val."""

    def __init__(self, stage: str, error: str, outcome: str = "crash") -> None:
        super().__init__(f"{stage} cell: {error}")
        self.stage, self.error, self.outcome = stage, error, outcome


@dataclass(frozen=True)
class Question:
    """A task for `inside.py MODE`, in batches of the same number of rows; the last one may have fewer.

    In place of the first batch it sees `warm_up` at first. `fields` has the fields of each batch's message. The answer
    has `size` bytes.
    """

    mode: str
    batches: Sequence[bytes]
    warm_up: bytes
    size: int
    fields: Sequence[JsonObject]
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """Bytes of an answer; what the cell spent, in the unit of the budget; and what was not protected."""

    data: bytes
    load: float
    answer: float
    weaknesses: tuple[str, ...]


def ask(
    harness: Harness,
    plan: TrialPlan,
    source: str,
    checkpoint: int,
    question: Question,
    caches: Path | None = None,
) -> Answer:
    """Return the answer of a fresh cell, with a compile cache if there is one. Raises EvaluationError, CellError."""
    request = wire.create_writable("task", sum(map(len, question.batches)))
    answer = wire.create_writable("answer", question.size)
    shown = os.open(f"/proc/self/fd/{request}", os.O_RDONLY | os.O_CLOEXEC)
    own = reopen(checkpoint)  # a shared file offset would be a channel from claim to audit
    try:
        os.pwrite(request, question.warm_up, 0)
        with open_cell(harness, question.mode, source, question.seed, [own, shown, answer], caches) as process:
            exchange = _Exchange(process, harness, plan, question)
            exchange.load()
            data = exchange.answer(request, answer)
        return Answer(data, exchange.load_spent, exchange.answer_spent, exchange.weaknesses)
    except wire.Closed:
        raise EvaluationError(question.mode, "the process ended without an answer") from None
    finally:
        for fd in (request, answer, shown, own):
            os.close(fd)


class _Exchange:
    """The messages to and from one scoring cell."""

    def __init__(self, process: CellProcess, harness: Harness, plan: TrialPlan, question: Question) -> None:
        self.process, self.settings = process, harness.settings
        self.plan, self.question = plan, question
        self.is_filtered = False
        self.batch = self.load_spent = self.answer_spent = 0.0

    @property
    def weaknesses(self) -> tuple[str, ...]:
        return () if self.is_filtered else (SECOND_FILTER,)

    def load(self) -> None:
        """Wait until the model is loaded and has answered about random tokens."""
        begun = self._receive("runs", self._clock(START_LIMIT), "the start")  # before any code of train.py
        if begun.fds:
            self.process.cell.listen(begun.fds[0])
            self.is_filtered = True
        begun.close()
        clock = self._clock(self.plan.load_limit(self.settings.budget))
        self._receive("loaded", clock, "load() and the first batch").close()
        before = clock.usage()
        self.process.channel.send("again")
        self._receive("warm", clock, "load() and the first batches").close()
        self.load_spent = clock.usage()
        self.batch = self.load_spent - before

    def answer(self, request: int, answer: int) -> bytes:
        """Put the text in place of the random tokens, batch by batch; return the copies of the answers."""
        if self.is_filtered:
            self.process.cell.only_compute()
        question, parts, spent, shown = self.question, list[bytes](), list[float](), 0
        whole = sum(map(len, question.batches))
        clock = self._clock(self.plan.answer_limit(self.settings.budget, self.batch, len(question.batches)))
        for rows, fields in zip(question.batches, question.fields, strict=True):
            before = clock.usage()
            os.pwrite(request, rows, shown)
            self.process.channel.send("task", **fields)
            self._receive("answered", clock, "answering").close()
            spent.append(clock.usage() - before)
            parts.append(os.pread(answer, question.size * len(rows) // whole, question.size * shown // whole))
            shown += len(rows)
        self.answer_spent = clock.usage()
        self._check_evenness(spent)
        if self.is_filtered:
            self._inspect()
        return b"".join(parts)

    def _check_evenness(self, spent: Sequence[float]) -> None:
        """Raise EvaluationError if some batches took so much longer than the others that work may hide in them."""
        usual = median(spent)
        excess, limit = sum(max(0.0, each - 2 * usual) for each in spent), jitter(self.settings.budget)
        if self.plan.base is not None and self.settings.budget.unit != "steps" and excess > limit:
            words = f"some batches took {excess:.2g} more than twice the usual {usual:.2g}"
            raise EvaluationError(self.question.mode, f"answering: {words} (limit {limit:.2g})", "timeout")

    def _clock(self, limit: Budget) -> Clock:
        return Clock(limit, self.process.cell.pid, self.settings.threads)

    def _receive(self, kind: str, clock: Clock, phase: str) -> wire.Message:
        """Wait for a message; if the cell fails, say whether it was refused a call. Raises EvaluationError."""
        try:
            return receive(self.process.channel, self.question.mode, kind, clock, phase, self.plan.check_wanted)
        except EvaluationError as error:
            refused = self.process.cell.inspect().refused if self.is_filtered else []
            if refused:
                hint = (
                    f"it called {refused[0]} when it may only compute: do that in load() or in the first forward pass"
                )
                raise EvaluationError(error.stage, f"{error.error}; {hint}", error.outcome) from None
            raise

    def _inspect(self) -> None:
        """Check that nothing of the text can have left the cell."""
        since = self.process.cell.inspect()
        if since.faults is None:
            raise self._suspect("the process ended before it could be inspected")
        if since.faults > MAX_FAULTS:
            raise self._suspect("it read pages from disk while it answered, which the next cell could see")
        if not since.alone:
            raise self._suspect("another process of it ran while it answered, or a thread could not be stopped before")

    def _suspect(self, reason: str) -> EvaluationError:
        return EvaluationError(self.question.mode, reason, "suspect")


def receive(
    channel: wire.Channel,
    stage: str,
    kind: str,
    clock: Clock,
    phase: str,
    check: Callable[[], None] = lambda: None,
) -> wire.Message:
    """Return the next message of a kind. Raises EvaluationError if the cell fails or the clock runs out.

    `check` is called several times a second; what it raises ends the waiting.
    """
    while not clock.is_over():
        check()
        message = channel.receive(min(clock.longest_wait(), POLL_S))
        if message is None:
            continue
        if message.kind == kind:
            return message
        message.close()
        if message.kind == "error":
            raise EvaluationError(stage, error_class(message.fields.get("error")))
    raise EvaluationError(stage, f"{phase} took over {clock.budget}", "timeout")
