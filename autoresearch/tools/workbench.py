"""Cells in which tools try versions: on spare cores, at the lowest priority, with limited time, on training rows."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from autoresearch.data.dataset import Dataset
from autoresearch.files import JsonObject
from autoresearch.measure import wire
from autoresearch.measure.cell_process import CellProcess, Harness, cell_spec, send_hello, start_program
from autoresearch.measure.reported_errors import error_class, error_line
from autoresearch.measure.settings import Settings
from autoresearch.measure.tool_context import MAX_SLOWNESS
from autoresearch.measure.tool_program import STAGES
from autoresearch.sandbox.cell import CellError
from autoresearch.sandbox.kernel import cpu_seconds
from autoresearch.sandbox.launch import CellSpec
from autoresearch.text import one_line
from autoresearch.tools.scoring_gate import Busy, ScoringGate, StoppableCell

LOWEST_PRIORITY = 19
LOG_BYTES = 1 << 16
LIMIT_S = 60.0
SCALED_LIMIT_S = 120.0  # of a version for a card, which has to warm up on a CPU
POLL_S = 0.1
MESSAGE_S = 0.01
MAX_ERROR_CHARS = 300
RAN_ON = "it ran on while it was stopped for a score: nothing that it found is shown"
WITHOUT_COMPILER = {"TORCHDYNAMO_DISABLE": "1"}  # a compiler would start processes


class ToolError(Exception):
    """A version or a snippet failed; the text says where and how. `printed` is what it had printed."""

    def __init__(self, stage: str, reason: str) -> None:
        super().__init__(f"{stage}: {reason}" if stage else reason)
        self.printed = ""


@dataclass(frozen=True)
class Workbench:
    """Run tools with the settings of trials on a CPU, on `settings.cores`.

    `scaled` if trials are on a card: versions then run with short rows and small batches (scale.py), and their times
    are not those of a trial. `private` if training text must not reach the agent: what a cell says in words of its own
    is then left out.
    """

    settings: Settings
    data: Dataset
    gate: ScoringGate = field(default_factory=ScoringGate)
    scaled: bool = False
    private: bool = False
    nice: int = LOWEST_PRIORITY
    cpu_times: list[float] = field(default_factory=list)  # CPU-seconds of each run

    @contextmanager
    def run(
        self, mode: str, source: str, seed: int, limit_s: float | None, task: JsonObject, fds: Sequence[int] = ()
    ) -> Iterator["ToolRun"]:
        """Start a tool, in its cell, that ends with the block, or after `limit_s` (None: the limit for a version).

        Raises ToolError, also for what fails in the block.
        """
        run: ToolRun | None = None
        try:
            process = start_program(self.spec(), mode)
            try:
                with self.gate.running(process.cell) as stoppable:
                    limit_s = self.limit_s if limit_s is None else limit_s
                    run = ToolRun(process, stoppable, limit_s, source, self.private, self.settings.threads)
                    send_hello(process.channel, source, seed, Harness(self.settings, self.data))
                    self._send_task(process.channel, task, fds)
                    yield run
                if stoppable.ran_on:
                    raise ToolError("", RAN_ON)
            finally:
                if run is not None:
                    self.cpu_times.append(run.cpu_s())
                process.kill()
        except (CellError, Busy) as error:
            raise ToolError("", str(error)) from None
        except wire.Closed:
            raise self._with_print(ToolError(run.stage if run else "", "the process ended"), run) from None
        except ToolError as error:
            raise self._with_print(error, run) from None
        finally:
            if run is not None:
                run.printed = run.process.cell.log()

    def _with_print(self, error: ToolError, run: "ToolRun | None") -> ToolError:
        if run is None:
            return error
        if run.ran_on:
            return ToolError("", RAN_ON)
        error.printed = run.process.cell.log()
        return error

    def draw_rows(self, count: int, rng: np.random.Generator) -> NDArray[np.uint16]:
        """Return random training rows of the first shard, uint16 [count, seq_len + 1]."""
        tokens, width = np.memmap(self.data.train_shards()[0], np.uint16, "r"), self.data.seq_len + 1
        rows = tokens[: len(tokens) - len(tokens) % width].reshape(-1, width)
        return np.asarray(rows[rng.integers(len(rows), size=count)])

    @property
    def limit_s(self) -> float:
        """Return the seconds of each core's time that one version may take in a tool, from the start of its cell."""
        return SCALED_LIMIT_S if self.scaled else LIMIT_S

    def spec(self) -> CellSpec:
        """Return the rights of a tool's cell: those of a trial on a CPU, without processes of its own."""
        spec = cell_spec(replace(self.settings, caches=None), self.data)
        environment = {**spec.environment, **WITHOUT_COMPILER}
        return replace(spec, nice=self.nice, threads_only=True, environment=environment, log_limit=LOG_BYTES)

    def _send_task(self, channel: wire.Channel, task: JsonObject, fds: Sequence[int]) -> None:
        shards = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in self.data.train_shards()]
        try:
            channel.send("task", [*fds, *shards], files=len(fds), **task)
        finally:
            for fd in shards:
                os.close(fd)


class ToolRun:
    """A running tool. `stage` is what it does; `printed` is known when it has ended."""

    def __init__(
        self, process: CellProcess, stoppable: StoppableCell, limit_s: float, source: str, private: bool, threads: int
    ) -> None:
        self.process, self._stoppable, self._limit_s = process, stoppable, limit_s
        self._source, self._private, self._threads = source, private, threads
        self._started, self._cpu = stoppable.now(), cpu_seconds(process.cell.pid) or 0.0
        self._last_cpu_s = 0.0
        self.stage = "the start"
        self.printed = ""

    def receive(self, kind: str) -> wire.Message:
        """Return the next message of a kind. Raises ToolError if the program fails or takes too long, wire.Closed."""
        while not self._is_over():
            message = self.process.channel.receive(POLL_S)
            if message is None:
                continue
            if message.kind == kind:
                return message
            message.close()
            time.sleep(MESSAGE_S)  # a flood waits in its own socket
            if message.kind == "stage":
                name = message.fields.get("name")
                self.stage = name if name in STAGES else self.stage
            elif message.kind == "error":
                raise ToolError(self.stage, self._describe_error(message.fields))
        wall, cpu = self._stoppable.now() - self._started, self.cpu_s()
        raise ToolError(self.stage, f"not done after {cpu:.1f} s of CPU time, in {wall:.0f} s: cut off")

    def _is_over(self) -> bool:
        """Return whether the time is up: CPU time, as others may use the core, or much more on the clock."""
        wall = self._stoppable.now() - self._started
        return max(self.cpu_s() / self._threads, wall / MAX_SLOWNESS) >= self._limit_s

    def cpu_s(self) -> float:
        """Return the CPU-seconds since the tool began, of all its threads."""
        if (now := cpu_seconds(self.process.cell.pid)) is not None:
            self._last_cpu_s = now - self._cpu
        return self._last_cpu_s

    def _describe_error(self, fields: JsonObject) -> str:
        name, where = fields.get("error"), error_line(fields.get("line"), self._source)
        if self._private:
            return error_class(name) + where
        return one_line(f"{name}: {fields.get('text')}", MAX_ERROR_CHARS) + where

    @property
    def ran_on(self) -> bool:
        return self._stoppable.ran_on

    def peak_mb(self) -> float | None:
        """Return the largest memory of the program until now, as the kernel counts it; None if it is gone."""
        try:
            lines = Path(f"/proc/{self.process.cell.pid}/status").read_text().splitlines()
        except OSError:
            return None
        sizes = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
        return int(sizes[0]) / 1024 if sizes else None
