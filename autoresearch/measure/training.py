"""Training in a cell, as the referee sees it: setup, the clock, the bell, and the checkpoint that counts."""

import math
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from autoresearch.data.dataset import Dataset
from autoresearch.hardware import GpuMeter
from autoresearch.measure import wire
from autoresearch.measure.cell_process import CellProcess, invite
from autoresearch.measure.clock import Clock
from autoresearch.measure.result import Progress, Result, Watch
from autoresearch.measure.settings import CHECKPOINT_LIMIT, Settings
from autoresearch.measure.watchdog import Watchdog
from autoresearch.sandbox.cell import Cell
from autoresearch.text import plain

CURVE_POINTS = 1000
REPORTED_NAMES = 64
BURST = 1000  # messages that a cell may send at once ...
RATE = 200.0  # ... and a second beyond that; inside.py sends at most half of it
STOPPED_SHARE = 0.01  # of a budget, in which its process may be seen stopped
GLANCE = 0.25  # s between two looks at a running trial


class _Failed(Exception):
    """Training ended without a checkpoint that counts."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason = outcome, reason


class _Keeper:
    """Receives what the cell sends, and holds the last good checkpoint."""

    def __init__(self, guest: CellProcess, result: Result) -> None:
        self.guest, self.result = guest, result
        self.checkpoint: int | None = None
        self.received = 0
        self.started = time.monotonic()
        self.stride = 1
        self.saving: float | None = None  # s on the trial's clock at which its last save began
        self.watchdog = Watchdog(guest.cell.pid)

    def next(self, timeout: float) -> wire.Message | None:
        self.received += 1
        if self.received > BURST + RATE * (time.monotonic() - self.started):
            time.sleep(1 / RATE)  # a flood waits in its own socket, not in our memory
        message = self.guest.channel.receive(timeout)
        if message is not None:
            self.watchdog.heard()
        elif self.watchdog.silent():
            raise _Failed("timeout", f"it did nothing for {self.watchdog.patience:.0f} s: nothing sent, no CPU used")
        return message

    def take(self, message: wire.Message, clock: Clock) -> bool:
        """Handle one message; True when training is over."""
        if message.kind == "checkpoint" and message.fds and not clock.over():
            self._take_checkpoint(message)
            return False
        message.close()
        if message.kind == "log":
            self._take_log(message.fields.get("values"), clock)
        if message.kind == "saving":
            self.saving = clock.wall()
        if message.kind == "error":
            raise _Failed(*_failure(message.fields))
        return message.kind == "done"

    def _take_checkpoint(self, message: wire.Message) -> None:
        fd, *surplus = message.fds
        for other in surplus:
            os.close(other)
        if not wire.is_sealed(fd, CHECKPOINT_LIMIT):
            os.close(fd)
            self._answer("refused", reason="not a sealed memory file, or over 4 GiB")
            return
        self.drop()
        self.checkpoint = fd
        self.result.parameters = wire.parameters(fd)
        self._answer("saved")

    def _answer(self, kind: str, reason: str = "") -> None:
        """Answer without waiting: a cell that does not read its answers must not make us miss the bell."""
        self.guest.channel.send(kind, patience=0, reason=reason)

    def report(self, values: Any) -> dict[str, float]:
        """Store numbers by name under `reported`; returns those that are numbers."""
        if not isinstance(values, dict):
            return {}
        numbers = {}
        for name, value in list(values.items())[:16]:
            if isinstance(value, int | float):
                with suppress(OverflowError):  # JSON knows integers that no float can hold
                    numbers[plain(name)[:64]] = float(value)
        for name, value in numbers.items():
            if name in self.result.reported or len(self.result.reported) < REPORTED_NAMES:
                self.result.reported[name] = value
        return numbers

    def _take_log(self, values: Any, clock: Clock) -> None:
        numbers = self.report(values)
        if not math.isfinite(numbers.get("loss", 0.0)):
            raise _Failed("nan", f"its loss is {numbers['loss']}")
        if "loss" in numbers and self.received % self.stride == 0:
            self.result.curve.append(numbers | {"seconds": round(clock.spent() or clock.wall(), 3)})
        if len(self.result.curve) > CURVE_POINTS:  # thin out: the curve stays even over the whole run
            del self.result.curve[1::2]
            self.stride *= 2

    def drop(self) -> None:
        if self.checkpoint is not None:
            os.close(self.checkpoint)
            self.checkpoint = None


def train(
    source: str, seed: int, settings: Settings, data: Dataset, watch: Watch, result: Result, caches: Path | None
) -> int | None:
    """The last checkpoint saved before the bell; None, with `outcome` and `reason` set, if there is none."""
    keeper: _Keeper | None = None
    cell: Cell | None = None
    try:
        with invite("train", source, seed, settings, data) as guest:
            cell, keeper = guest.cell, _Keeper(guest, result)
            result.layers, result.weaknesses = cell.layers, [*cell.weaknesses, *data.weaknesses]
            result.grade = "WEAK" if result.weaknesses else "STRONG"
            try:
                clock = _setup(keeper, settings, data, watch)
                _until_the_bell(keeper, clock, settings, watch)
                _check_stops(keeper.watchdog, settings)
                if caches is not None:
                    cell.keep_caches(caches)
            except wire.Closed:
                raise _Failed(*_ended(cell)) from None
        if keeper.checkpoint is not None:
            return keeper.checkpoint
        result.outcome, result.reason = _no_checkpoint(clock, keeper.saving)
    except _Failed as failed:
        result.outcome, result.reason = failed.outcome, failed.reason
    finally:
        if cell is not None:
            result.log = cell.log()
    if keeper is not None:
        keeper.drop()
    return None


def _setup(keeper: _Keeper, settings: Settings, data: Dataset, watch: Watch) -> Clock:
    """Wait until the version says that it is ready; hand over the data; start the clock."""
    started = time.monotonic()
    watch(Progress("setup"))
    while (left := settings.setup_cap - (time.monotonic() - started)) > 0:
        message = keeper.next(min(left, GLANCE))
        if message is None:
            continue
        message.close()
        if message.kind == "ready":
            return _start(keeper, time.monotonic() - started, settings, data)
        if message.kind == "log":
            keeper.report(message.fields.get("values"))
        if message.kind == "error":
            raise _Failed(*_failure(message.fields))
        if message.kind == "done":
            raise _Failed("nothing_saved", "train() returned without calling trial.start()")
    raise _Failed("timeout", f"setup took over {settings.setup_cap:.0f} s: trial.start() was not called")


def _start(keeper: _Keeper, setup: float, settings: Settings, data: Dataset) -> Clock:
    keeper.result.setup_seconds = setup
    charged = max(0.0, setup - settings.setup_free) if settings.budget.unit != "steps" else 0.0
    if settings.lobby is not None:
        settings.lobby.settle()
    shards = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in data.train_shards()]
    try:
        keeper.guest.channel.send("go", shards, charged=charged)
    finally:
        for fd in shards:
            os.close(fd)
    return Clock(settings.budget, keeper.guest.cell.pid, settings.threads, charged)


def _until_the_bell(keeper: _Keeper, clock: Clock, settings: Settings, watch: Watch) -> None:
    meter = GpuMeter(settings.gpu)
    try:
        while not clock.over():
            message = keeper.next(min(clock.nap(), GLANCE))
            if message is not None and keeper.take(message, clock):
                break
            meter.look()
            watch(Progress("train", _fraction(clock, keeper.result), keeper.result.reported))
    finally:
        keeper.result.train_seconds = clock.wall()
        keeper.result.peak_vram_mb = meter.peak_mb
        keeper.result.conditions = meter.conditions


def _fraction(clock: Clock, result: Result) -> float:
    if clock.budget.unit == "steps":
        return max(0.0, min(1.0, result.reported.get("step", 0.0) / clock.budget.amount))
    return min(1.0, clock.spent() / clock.budget.amount)


def _failure(fields: dict[str, Any]) -> tuple[str, str]:
    """Outcome and reason of an exception that train.py raised, by its class and text."""
    name = " ".join(plain(str(fields.get("error", "Exception"))).split())[:80]
    text = " ".join(plain(str(fields.get("text", ""))).split())[:300]
    reason = f"{name}: {text}" if text else name
    if name in ("MemoryError", "OutOfMemoryError") or "out of memory" in text or "can't allocate memory" in text:
        return "oom", reason
    return ("nan" if name == "FloatingPointError" else "crash"), reason


def _ended(cell: Cell) -> tuple[str, str]:
    """Outcome and reason when the cell hung up; its exit can lag behind its socket."""
    deadline = time.monotonic() + 1.0
    while cell.running() and time.monotonic() < deadline:
        time.sleep(0.01)
    status = cell.exit_status()
    if status is None:
        return "crash", "the process closed its channel, or sent what is not a message"
    if status == -9:
        return "oom", "the process was killed by the system, most likely for want of memory"
    if status < 0:
        return "crash", f"the process was ended by signal {-status}"
    return "crash", f"the process ended without a word (exit status {status})"


def _check_stops(watchdog: Watchdog, settings: Settings) -> None:
    """On the wall clock, a process that was stopped did not train for its time; it may have stopped itself."""
    if settings.budget.unit == "s" and watchdog.stopped > STOPPED_SHARE * settings.budget.amount:
        stopped = f"its process was stopped for {watchdog.stopped:.0f} s by a signal"
        raise _Failed("crash", f"{stopped}: that is no fair trial")


def _no_checkpoint(clock: Clock, saving: float | None) -> tuple[str, str]:
    if saving is not None:
        began = f"began {saving:.1f} s after the start and was not done at the bell, {clock.wall():.1f} s after it"
        return "nothing_saved", f"trial.save() {began}: leave it more time (trial.reserve)"
    if clock.overslept():
        return "timeout", f"nothing saved in {clock.budget.wall_cap:.0f} s of wall-clock time"
    return "nothing_saved", "trial.save() was not called before the bell"
