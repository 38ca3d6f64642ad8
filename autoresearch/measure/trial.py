"""The referee: one trial of one version, from its source to its score.

    train   in a cell; the data is handed over when it says it is ready, and the clock starts
    bell    everything in the cell is killed; the last checkpoint that arrived in time counts
    score   claim and audit in fresh cells (score.py)

Nothing that the cell says about itself decides: it is stored under `reported`.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from autoresearch.measure import wire
from autoresearch.measure.cell import Cell, CellError
from autoresearch.measure.clock import Clock
from autoresearch.measure.data import Dataset
from autoresearch.measure.guest import Guest, invite
from autoresearch.measure.machine import GpuMeter
from autoresearch.measure.score import EvaluationError, Score, score
from autoresearch.measure.settings import CHECKPOINT_LIMIT, Settings

CURVE_POINTS = 1000
REPORTED_NAMES = 64
BURST = 1000  # messages that a cell may send at once ...
RATE = 200.0  # ... and a second beyond that; inside.py sends at most half of it
GLANCE = 0.25  # s between two looks at a running trial


@dataclass(frozen=True)
class Progress:
    """Where a running trial stands, for whoever watches."""

    stage: str  # setup, train, score
    fraction: float = 0.0
    values: dict[str, float] = field(default_factory=dict)


Watch = Callable[[Progress], None]


@dataclass
class Result:
    """What a trial gave. `val_bpb` is None unless `outcome` is ok: a failed trial has no score, never 0.

    `claimed` marks a score that lost before it was audited. Times are seconds, read by the referee.
    """

    outcome: str = "crash"  # ok oom nan crash timeout nothing_saved suspect infra
    val_bpb: float | None = None
    reason: str = ""
    seed: int = 0
    claimed: bool = False
    setup_seconds: float = 0.0
    train_seconds: float = 0.0
    score_seconds: float = 0.0
    total_seconds: float = 0.0
    score_se: float = 0.0
    holdout_bpb: float | None = None  # only of what is kept, and never told to an agent
    peak_vram_mb: float | None = None
    grade: str = "NONE"
    weaknesses: list[str] = field(default_factory=list)
    layers: dict[str, Any] = field(default_factory=dict)
    audit: dict[str, float] | None = None
    reported: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    log: str = ""
    rows: npt.NDArray[np.float64] | None = None  # [rows, 2]: nats and bytes

    def as_json(self) -> dict[str, Any]:
        """Everything but the log and the rows, which are files of their own; what is not finite becomes None."""
        return {name: _finite(value) for name, value in vars(self).items() if name not in ("log", "rows")}


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list) else value


def measure(
    source: str,
    seed: int,
    settings: Settings,
    data: Dataset,
    watch: Watch = lambda progress: None,
    loses_above: float | None = None,
    wants_holdout: Callable[[float], bool] = lambda val_bpb: False,
) -> Result:
    """Train and score one version. Never raises for anything that the version does.

    A claim above `loses_above` is not audited; a score that `wants_holdout` is scored on the holdout split too.
    """
    started = time.monotonic()
    result = Result(seed=seed)
    try:
        checkpoint = _train(source, seed, settings, data, watch, result)
        if checkpoint is not None:
            watch(Progress("score"))
            _score(source, checkpoint, settings, data, loses_above, wants_holdout, result)
    except CellError as error:
        result.outcome, result.reason = "infra", str(error)
    result.total_seconds = time.monotonic() - started
    return result


# ---------------------------------------------------------------------------------------------------------------
# Training


class _Failed(Exception):
    """Training ended without a checkpoint that counts."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(reason)
        self.outcome, self.reason = outcome, reason


class _Keeper:
    """Receives what the cell sends, and holds the last good checkpoint."""

    def __init__(self, guest: Guest, result: Result) -> None:
        self.guest, self.result = guest, result
        self.checkpoint: int | None = None
        self.received = 0
        self.started = time.monotonic()
        self.stride = 1

    def next(self, timeout: float) -> wire.Message | None:
        self.received += 1
        if self.received > BURST + RATE * (time.monotonic() - self.started):
            time.sleep(1 / RATE)  # a flood waits in its own socket, not in our memory
        return self.guest.channel.receive(timeout)

    def take(self, message: wire.Message, clock: Clock) -> bool:
        """Handle one message; True when training is over."""
        if message.kind == "checkpoint" and message.fds and not clock.over():
            self._take_checkpoint(message)
            return False
        message.close()
        if message.kind == "log":
            self._take_log(message.fields.get("values"), clock)
        if message.kind == "error":
            raise _Failed(*_failure(message.fields))
        return message.kind == "done"

    def _take_checkpoint(self, message: wire.Message) -> None:
        fd, *surplus = message.fds
        for other in surplus:
            os.close(other)
        if not wire.is_sealed(fd, CHECKPOINT_LIMIT):
            os.close(fd)
            self.guest.channel.send("refused", reason="not a sealed memory file, or over 4 GiB")
            return
        self.drop()
        self.checkpoint = fd
        self.guest.channel.send("saved")

    def report(self, values: Any) -> dict[str, float]:
        """Store numbers by name under `reported`; returns those that are numbers."""
        if not isinstance(values, dict):
            return {}
        numbers = {str(k)[:64]: float(v) for k, v in list(values.items())[:16] if isinstance(v, int | float)}
        for name, value in numbers.items():
            if name in self.result.reported or len(self.result.reported) < REPORTED_NAMES:
                self.result.reported[name] = value
        return numbers

    def _take_log(self, values: Any, clock: Clock) -> None:
        numbers = self.report(values)
        if "loss" in numbers and self.received % self.stride == 0:
            self.result.curve.append({"seconds": round(clock.spent() or clock.wall(), 3), **numbers})
        if len(self.result.curve) > CURVE_POINTS:  # thin out: the curve stays even over the whole run
            del self.result.curve[1::2]
            self.stride *= 2

    def drop(self) -> None:
        if self.checkpoint is not None:
            os.close(self.checkpoint)
            self.checkpoint = None


def _train(
    source: str, seed: int, settings: Settings, data: Dataset, watch: Watch, result: Result
) -> int | None:
    """The last checkpoint saved before the bell; None, with `outcome` and `reason` set, if there is none."""
    keeper: _Keeper | None = None
    cell: Cell | None = None
    try:
        with invite("train", source, seed, settings, data) as guest:
            cell, keeper = guest.cell, _Keeper(guest, result)
            result.grade, result.layers = cell.grade, cell.layers
            result.weaknesses = list(cell.weaknesses)
            try:
                clock = _setup(keeper, settings, data, watch)
                _until_the_bell(keeper, clock, settings, watch)
            except wire.Closed:
                raise _Failed(*_ended(cell)) from None
        if keeper.checkpoint is not None:
            return keeper.checkpoint
        result.outcome, result.reason = _no_checkpoint(clock)
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
        message = keeper.next(left)
        if message is None:
            break
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


def _fraction(clock: Clock, result: Result) -> float:
    if clock.budget.unit == "steps":
        return min(1.0, result.reported.get("step", 0.0) / clock.budget.amount)
    return min(1.0, clock.spent() / clock.budget.amount)


def _failure(fields: dict[str, Any]) -> tuple[str, str]:
    """Outcome and reason of an exception that train.py raised, by its class and text."""
    name, text = str(fields.get("error", "Exception"))[:80], " ".join(str(fields.get("text", "")).split())[:300]
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


def _no_checkpoint(clock: Clock) -> tuple[str, str]:
    if clock.overslept():
        return "timeout", f"nothing saved in {clock.budget.wall_cap:.0f} s of wall-clock time"
    return "nothing_saved", "trial.save() was not called before the bell"


# ---------------------------------------------------------------------------------------------------------------
# Scoring


def _score(
    source: str,
    checkpoint: int,
    settings: Settings,
    data: Dataset,
    loses_above: float | None,
    wants_holdout: Callable[[float], bool],
    result: Result,
) -> None:
    started = time.monotonic()
    try:
        _record(score(source, checkpoint, settings, data, "val", loses_above), result)
        if result.val_bpb is not None and wants_holdout(result.val_bpb):
            _record_holdout(score(source, checkpoint, settings, data, "holdout"), result)
    except EvaluationError as error:
        nan = error.error == "FloatingPointError"
        result.outcome = "nan" if nan else "crash"
        result.reason = "the losses are not finite" if nan else str(error)
    finally:
        os.close(checkpoint)
        result.score_seconds = time.monotonic() - started


def _record(scored: Score, result: Result) -> None:
    result.rows = np.stack([scored.row_nats, scored.row_bytes], 1)
    result.score_se = scored.se if math.isfinite(scored.se) else 0.0
    result.claimed = scored.audit is None
    if scored.audit is not None:
        result.audit = dict(vars(scored.audit))
        if scored.audit.suspicion is not None:
            result.outcome, result.reason = "suspect", scored.audit.suspicion
            return
    result.outcome, result.val_bpb = "ok", scored.bpb


def _record_holdout(scored: Score, result: Result) -> None:
    suspicion = scored.audit.suspicion if scored.audit is not None else None
    if suspicion is None:
        result.holdout_bpb = scored.bpb
        return
    result.outcome, result.val_bpb, result.reason = "suspect", None, f"on the holdout: {suspicion}"
