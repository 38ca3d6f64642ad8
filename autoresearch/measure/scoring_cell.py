"""One question to a fresh cell about a checkpoint: its phases, their limits, and what it may do in each.

    load     the cell builds the model and answers twice about random tokens of the same shape
    answer   the text arrives; from here on the cell can only compute (sandbox/compute_only.py)

Both are limited: training that is hidden in them would be outside of the budget.
"""

import builtins
import mmap
import os
from dataclasses import dataclass, field

from autoresearch.files import JsonObject
from autoresearch.measure import wire
from autoresearch.measure.cell_process import CellProcess, Harness, open_cell
from autoresearch.measure.clock import Budget, Clock
from autoresearch.measure.settings import TrialPlan
from autoresearch.sandbox.cell import reopen
from autoresearch.sandbox.grade import SECOND_FILTER

START_LIMIT = Budget(120.0, "s")  # for our own code in the cell
MAX_FAULTS = 25  # pages that an answering cell may wait for, which leave some 500 bits behind; normally none
POLL_S = 0.25

ERRORS = {name for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, BaseException)}
ERRORS |= {"OutOfMemoryError", "AcceleratorError", "LinAlgError", "AxisError", "SafetensorError"}


class EvaluationError(Exception):
    """A scoring cell gave no answer to believe; holds no text of its exception, which may quote val."""

    def __init__(self, stage: str, error: str, outcome: str = "crash") -> None:
        super().__init__(f"{stage} cell: {error}")
        self.stage, self.error, self.outcome = stage, error, outcome


@dataclass(frozen=True)
class Question:
    """A task for `inside.py MODE`, in place of which it first sees `warm_up`; the answer has `size` bytes."""

    mode: str
    task: bytes
    warm_up: bytes
    size: int
    batches: int = 1
    fields: JsonObject = field(default_factory=dict)
    seed: int = 0


@dataclass(frozen=True)
class Answer:
    """Bytes of an answer; what the cell spent, in the unit of the budget; and what was not protected."""

    data: bytes
    load: float
    answer: float
    weaknesses: tuple[str, ...]


def ask(harness: Harness, plan: TrialPlan, source: str, checkpoint: int, question: Question) -> Answer:
    """Return the answer of a fresh cell, read only after the cell is dead. Raises EvaluationError, CellError."""
    request, answer = wire.create_writable("task", len(question.task)), wire.create_writable("answer", question.size)
    shown = os.open(f"/proc/self/fd/{request}", os.O_RDONLY | os.O_CLOEXEC)
    own = reopen(checkpoint)  # a shared file offset would be a channel from claim to audit
    try:
        os.pwrite(request, question.warm_up, 0)
        with open_cell(harness, question.mode, source, question.seed, [own, shown, answer]) as process:
            exchange = _Exchange(process, harness, plan, question)
            exchange.load()
            exchange.answer(request)
        with mmap.mmap(answer, 0, prot=mmap.PROT_READ) as view:
            return Answer(view[:], exchange.load_spent, exchange.answer_spent, exchange.weaknesses)
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
        self._receive("warm", clock, "load() and the first batches").close()
        self.load_spent = clock.usage()
        self.batch = self.load_spent - before

    def answer(self, request: int) -> None:
        """Put the text in place of the random tokens; wait for the answer."""
        if self.is_filtered:
            self.process.cell.only_compute()
        os.pwrite(request, self.question.task, 0)
        limit = self.plan.answer_limit(self.settings.budget, self.batch, self.question.batches)
        clock = self._clock(limit)
        self.process.channel.send("task", **self.question.fields)
        self._receive("done", clock, "answering").close()
        self.answer_spent = clock.usage()
        if self.is_filtered:
            self._inspect()

    def _clock(self, limit: Budget) -> Clock:
        return Clock(limit, self.process.cell.pid, self.settings.threads)

    def _receive(self, kind: str, clock: Clock, phase: str) -> wire.Message:
        """Wait for a message; if the cell fails, say whether it was refused a call. Raises EvaluationError."""
        try:
            return receive(self.process.channel, self.question.mode, kind, clock, phase)
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


def receive(channel: wire.Channel, stage: str, kind: str, clock: Clock, phase: str) -> wire.Message:
    """Return the next message of a kind. Raises EvaluationError if the cell fails or the clock runs out."""
    while not clock.is_over():
        message = channel.receive(min(clock.longest_wait(), POLL_S))
        if message is None:
            continue
        if message.kind == kind:
            return message
        message.close()
        if message.kind == "error":
            raise EvaluationError(stage, _error_name(message.fields.get("error")))
    raise EvaluationError(stage, f"{phase} took over {clock.budget}", "timeout")


def _error_name(name: object) -> str:
    """Return the class of an exception; one that train.py made up could spell out validation text in its name."""
    return name if isinstance(name, str) and name in ERRORS else "an exception of its own"
