"""Training in a cell: setup, the referee's clock, the bell, and the checkpoint that counts."""

import os
import time
from contextlib import suppress
from pathlib import Path

from autoresearch.files import JsonObject
from autoresearch.hardware import GpuMeter
from autoresearch.measure import parameters, wire
from autoresearch.measure.cell_process import CellProcess, Harness, open_cell
from autoresearch.measure.clock import Budget, Clock
from autoresearch.measure.core_meter import core_meter
from autoresearch.measure.loss_curve import CurveRecorder
from autoresearch.measure.reported_errors import error_class, error_line
from autoresearch.measure.result import Progress, Result
from autoresearch.measure.settings import MAX_CHECKPOINT_BYTES, Settings, TrialPlan
from autoresearch.measure.watchdog import Watchdog
from autoresearch.sandbox.cell import Cell
from autoresearch.sandbox.compile_cache import NOTHING
from autoresearch.sandbox.supervisor import DISK_IS_FULL
from autoresearch.source.script import is_script
from autoresearch.text import plain_text, plausible

REPORTED_NAMES = 64
BURST_MESSAGES = 1000  # that a cell may send at once ...
MESSAGES_PER_S = 200.0  # ... and beyond that; inside.py sends at most half of it
STOPPED_SHARE = 0.01  # of a budget, in which its process may be seen stopped
POLL_S = 0.25


class _TrainingFailed(Exception):
    """Training ended without a checkpoint that counts; its arguments are outcome and reason."""


class _Receiver:
    """Receive the messages of a training cell and hold its last good checkpoint."""

    def __init__(self, process: CellProcess, result: Result, source: str, bell: Budget, is_private: bool) -> None:
        self.process, self.result, self.bell = process, result, bell
        self.private_source, self.is_script = source if is_private else None, is_script(source)
        self.checkpoint: int | None = None
        self.received = 0
        self.started = time.monotonic()
        self.curve = CurveRecorder(result.curve)
        self.save_began_s: float | None = None  # on the trial's clock, of the last save
        self.watchdog = Watchdog(process.cell.pid)

    def next(self, timeout: float) -> wire.Message | None:
        self.received += 1
        if self.received > BURST_MESSAGES + MESSAGES_PER_S * (time.monotonic() - self.started):
            time.sleep(1 / MESSAGES_PER_S)  # a flood waits in its own socket, not in our memory
        message = self.process.channel.receive(timeout)
        if message is not None:
            self.watchdog.note_message()
        elif self.watchdog.is_silent():
            limit = self.watchdog.silence_limit_s
            raise _TrainingFailed("timeout", f"it did nothing for {limit:.0f} s: nothing sent, no CPU used")
        return message

    def handle(self, message: wire.Message, clock: Clock) -> bool:
        """Handle one message; return True when training is over."""
        if message.kind == "checkpoint" and message.fds and not clock.is_over():
            self._take_checkpoint(message, clock)
            return False
        message.close()
        if message.kind == "log":
            self._take_log(message.fields.get("values"), clock)
        if message.kind == "saving":
            self.save_began_s = clock.wall()
        if message.kind == "error":
            raise _TrainingFailed(*_classify_error(message.fields, self.private_source))
        return message.kind == "done"

    def _take_checkpoint(self, message: wire.Message, clock: Clock) -> None:
        fd, *surplus = message.fds
        for other in surplus:
            os.close(other)
        if not wire.is_sealed(fd, MAX_CHECKPOINT_BYTES):
            os.close(fd)
            self._answer("refused", reason="not a sealed memory file, or over 4 GiB")
            return
        self.drop()
        self.checkpoint = fd
        self.result.parameters = parameters.count(fd)
        if clock.budget.unit != "steps" and not self.is_script:
            self.result.margin = round(max(0.0, 1 - clock.usage() / clock.budget.amount), 4)
        self._answer("saved")

    def _answer(self, kind: str, reason: str = "") -> None:
        """Answer without waiting: a cell that does not read its answers must not make us miss the bell."""
        self.process.channel.send(kind, timeout_s=0, reason=reason)

    def record(self, values: object) -> dict[str, float]:
        """Store plausible numbers by name under `reported`; return those of `values` that are numbers."""
        if not isinstance(values, dict):
            return {}
        numbers = {}
        for name, value in list(values.items())[:16]:
            if isinstance(value, int | float):
                with suppress(OverflowError):  # JSON knows integers that no float can hold
                    numbers[plain_text(name)[:64]] = float(value)
        for name, value in numbers.items():
            is_known = name in self.result.reported or len(self.result.reported) < REPORTED_NAMES
            if is_known and plausible(value) is not None:
                self.result.reported[name] = value
        return numbers

    def _take_log(self, values: object, clock: Clock) -> None:
        numbers = self.record(values)
        if plausible(numbers.get("loss", 0.0)) is None:
            raise _TrainingFailed("nan", f"its loss is {numbers['loss']:.3g}")
        if "loss" in numbers:
            point = {name: value for name, value in numbers.items() if plausible(value) is not None}
            self.curve.add(point | {"seconds": round(clock.usage() or clock.wall(), 3)})

    def drop(self) -> None:
        if self.checkpoint is not None:
            os.close(self.checkpoint)
            self.checkpoint = None


def train(
    source: str,
    seed: int,
    harness: Harness,
    result: Result,
    plan: TrialPlan = TrialPlan(),
    lent: Path | None = None,
) -> int | None:
    """Return the last checkpoint saved before the bell; None, with the outcome in `result`, if there is none.

    What the version compiled before the training text arrived is copied to `lent`.
    """
    settings = harness.settings
    receiver: _Receiver | None = None
    try:
        with open_cell(harness, "train", source, seed) as process:
            bell = plan.bell_of_script(settings.budget, settings.device) if is_script(source) else settings.budget
            cell, receiver = process.cell, _Receiver(process, result, source, bell, settings.private)
            result.layers, result.weaknesses = cell.layers, [*cell.weaknesses, *harness.data.weaknesses]
            result.grade = "WEAK" if result.weaknesses else "STRONG"
            try:
                clock = _set_up(receiver, harness, plan, lent)
                _run_until_bell(receiver, clock, settings, plan)
                _check_stops(receiver.watchdog, settings)
                if plan.keep_caches and settings.caches is not None:
                    lost = cell.keep_caches(settings.caches)
                    result.cache_lost = None if lost == NOTHING and settings.device == "cpu" else lost
            except wire.Closed:
                raise _TrainingFailed(*_explain_exit(cell)) from None
        if receiver.checkpoint is not None:
            return receiver.checkpoint
        result.outcome, result.reason = _explain_no_checkpoint(clock, receiver)
    except _TrainingFailed as failure:
        result.outcome, result.reason = failure.args
    except BaseException:  # Unwanted, CellError, or a fault of ours
        if receiver is not None:
            receiver.drop()
        raise
    finally:
        if receiver is not None:
            result.log = receiver.process.cell.log()
    if receiver is not None:
        receiver.drop()
    return None


def _set_up(receiver: _Receiver, harness: Harness, plan: TrialPlan, lent: Path | None) -> Clock:
    """Start the clock of a version that is ready. Raises _TrainingFailed, Unwanted, wire.Closed."""
    started = time.monotonic()
    try:
        return _wait_until_ready(receiver, harness, plan, lent)
    finally:
        receiver.result.setup_seconds = receiver.result.setup_seconds or time.monotonic() - started


def _wait_until_ready(receiver: _Receiver, harness: Harness, plan: TrialPlan, lent: Path | None) -> Clock:
    """Wait until the version says that it is ready; copy its caches; hand over the data; start the clock."""
    started = time.monotonic()
    settings = harness.settings
    plan.watch(Progress("setup"))
    clock: Clock | None = None
    limit = plan.setup_limit(settings.device)
    while (left := limit - (time.monotonic() - started)) > 0:
        plan.check_wanted()
        message = receiver.next(min(left, POLL_S))
        if message is None:
            continue
        message.close()
        if clock is None:  # the first message, before any of its code runs
            clock = Clock(settings.budget, receiver.process.cell.pid, settings.threads)
        if message.kind == "ready":
            if lent is not None:  # as a part of the setup: the program is running
                receiver.process.cell.copy_caches(lent)
            receiver.result.setup_seconds = time.monotonic() - started
            receiver.result.spent["setup"] = clock.usage()
            harness.cells.wait_until_ready()
            if settings.budget.unit == "cpu":  # its threads may have computed meanwhile
                receiver.result.spent["setup"] = clock.usage()
            return _start_clock(receiver, harness, plan)
        if message.kind == "log":
            receiver.record(message.fields.get("values"))
        if message.kind == "error":
            raise _TrainingFailed(*_classify_error(message.fields, receiver.private_source))
        if message.kind == "done":
            raise _TrainingFailed("nothing_saved", "train() returned without calling trial.start()")
    raise _TrainingFailed("timeout", f"setup took over {limit:.0f} s: trial.start() was not called")


def _start_clock(receiver: _Receiver, harness: Harness, plan: TrialPlan) -> Clock:
    settings = harness.settings
    charged = plan.charge_setup(receiver.result.spent["setup"], settings.budget)
    shards = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in harness.data.train_shards()]
    try:
        receiver.process.channel.send("go", shards, charged=charged)
    finally:
        for fd in shards:
            os.close(fd)
    return Clock(receiver.bell, receiver.process.cell.pid, settings.threads, charged)


def _run_until_bell(receiver: _Receiver, clock: Clock, settings: Settings, plan: TrialPlan) -> None:
    card, result = GpuMeter(settings.gpu), receiver.result
    with core_meter(settings, receiver.process.cell.pid) as cores:
        try:
            while not clock.is_over():
                plan.check_wanted()
                message = receiver.next(min(clock.longest_wait(), POLL_S))
                if message is not None and receiver.handle(message, clock):
                    break
                card.read()
                progress = _fraction(clock, result)
                plan.watch(Progress("train", progress, result.reported))
                _stop_if_behind(result, progress, plan)
        finally:
            receiver.curve.finish()
            result.train_seconds, result.used = clock.wall(), clock.usage()
            if receiver.is_script:
                result.spent["uncounted"] = max(0.0, result.used - settings.budget.amount)
            result.peak_vram_mb = card.peak_mb
            result.conditions, result.disturbed = card.conditions | cores.conditions, cores.is_crowded


def _stop_if_behind(result: Result, progress: float, plan: TrialPlan) -> None:
    """Stop a trial whose curve says that it has lost; one that runs on shows later whether it had."""
    if result.behind is None and (found := plan.find_behind(progress, result.curve)) is not None:
        result.behind = {"progress": found.progress, "delta": found.delta, "odds": found.odds}
        if not plan.runs_on:
            raise _TrainingFailed("stopped", found.reason)


def _fraction(clock: Clock, result: Result) -> float:
    if clock.budget.unit == "steps":
        return max(0.0, min(1.0, result.reported.get("step", 0.0) / clock.budget.amount))
    return min(1.0, clock.usage() / clock.budget.amount)


def _classify_error(fields: JsonObject, private_source: str | None = None) -> tuple[str, str]:
    """Return outcome and reason of an exception that train.py raised, by its class and text.

    Where the training text is private, the reason is class and line only; `private_source` is that train.py.
    """
    name = " ".join(plain_text(str(fields.get("error", "Exception"))).split())[:80]
    text = " ".join(plain_text(str(fields.get("text", ""))).split())[:300]
    reason = f"{name}: {text}" if text else name
    if private_source is not None:
        reason = error_class(fields.get("error")) + error_line(fields.get("line"), private_source)
    if name in ("MemoryError", "OutOfMemoryError") or "out of memory" in text or "can't allocate memory" in text:
        return "oom", reason
    return ("nan" if name == "FloatingPointError" else "crash"), reason


def _explain_exit(cell: Cell) -> tuple[str, str]:
    """Return outcome and reason after a cell hung up; its exit can lag behind its socket."""
    deadline = time.monotonic() + 1.0
    while cell.is_running() and time.monotonic() < deadline:
        time.sleep(0.01)
    status = cell.exit_status()
    if cell.has_filled_disk:
        return "crash", DISK_IS_FULL
    if status is None:
        return "crash", "the process closed its channel, or sent what is not a message"
    if status == -9:
        return "oom", "the process was killed by the system, most likely for want of memory"
    if status < 0:
        return "crash", f"the process was ended by signal {-status}"
    return "crash", f"the process ended without a word (exit status {status})"


def _check_stops(watchdog: Watchdog, settings: Settings) -> None:
    """Refuse a trial on the wall clock whose process was stopped: it may have stopped itself."""
    if settings.budget.unit == "s" and watchdog.stopped_s > STOPPED_SHARE * settings.budget.amount:
        stopped = f"its process was stopped for {watchdog.stopped_s:.0f} s by a signal"
        raise _TrainingFailed("crash", f"{stopped}: that is no fair trial")


def _explain_no_checkpoint(clock: Clock, receiver: _Receiver) -> tuple[str, str]:
    if receiver.save_began_s is not None:
        began = f"began {receiver.save_began_s:.1f} s after the start"
        late = f"was not done at the bell, {clock.wall():.1f} s after it"
        advice = "call it once before trial.start(), as a rehearsal, or leave it more time (trial.reserve)"
        return "nothing_saved", f"trial.save() {began} and {late}: {advice}"
    if receiver.is_script and clock.is_over():
        return "timeout", f"evaluate_bpb() was not called within {clock.budget} from the first batch"
    if clock.hit_wall_limit():
        return "timeout", f"nothing saved in {clock.budget.wall_limit_s:.0f} s of wall-clock time"
    if not clock.is_over():
        return "nothing_saved", "trial.save() was not called before train() returned"
    if not receiver.result.curve and clock.charged:
        spent, left = receiver.result.spent["setup"], max(0.0, clock.budget.amount - clock.charged)
        unit = "CPU-seconds" if clock.budget.unit == "cpu" else clock.budget.unit
        words = f"setup used {spent:.3g} {unit}, of which {spent - clock.charged:.3g} were free"
        return "nothing_saved", f"{words}: {left:.3g} of the budget were left, in which no step was logged"
    if not receiver.result.curve:
        return "nothing_saved", "no step was logged and trial.save() was not called before the bell"
    return "nothing_saved", "trial.save() was not called before the bell: train while trial.progress < 1, then save"
