"""The argument of `train`, inside a cell."""

import importlib
import os
import time
from collections.abc import Iterator
from types import ModuleType

from autoresearch.measure import checkpoint_file, wire
from autoresearch.measure.answers import Array
from autoresearch.measure.batches import BatchStream, map_rows
from autoresearch.measure.pace import Pace

LOG_INTERVAL_S = 0.01  # points logged more often are merged


class TrialContext:
    """Argument of `train`; see "docs/contract.md.

    Before `start()` there is no training data in this process, and `save` is a rehearsal. After it, `rows` are uint16
    [n, seq_len + 1] and `progress` goes from 0 to 1 over the budget, less `reserve` (time for `save`, at least twice
    as long as its rehearsal took). It is 1 if another step, as long as the longest of the last ones, would not end in
    time; on a device with a queue, three steps.
    """

    def __init__(self, channel: wire.Channel, hello: wire.Fields, torch: ModuleType | None) -> None:
        self._channel, self._torch = channel, torch
        self.vocab_size: int = hello["vocab_size"]
        self.seq_len: int = hello["seq_len"]
        self.device: str = hello["device"]
        self.eval_batch: int = hello["eval_batch"]  # rows of a forward pass when it is scored
        self.seed: int = hello["seed"]
        self.budget: float = hello["budget"]
        self.reserve: float = hello["reserve"]
        self._unit: str = hello["unit"]
        self._steps = 0
        queue = None if torch is None or self.device == "cpu" else getattr(torch, self.device)
        self._pace = Pace(self.budget, time.process_time if self._unit == "cpu" else time.monotonic, queue)
        self._unsent: dict[str, float] = {}
        self._losses: list[float] = []  # that are not sent yet
        self._last_sent_at = 0.0
        self._stream: BatchStream | None = None
        self._file: int | None = None  # of a rehearsed checkpoint: memory that need not be touched for the first time

    def start(self) -> None:
        """End the setup: receive the training rows; the clock starts."""
        if self._stream is not None:
            raise RuntimeError("trial.start() may be called once")
        self._channel.send("ready")
        go = self._channel.receive()
        assert go is not None
        self._pace.start(float(go.fields["charged"]))
        self._stream = BatchStream([map_rows(fd, self.seq_len) for fd in go.fds], self.seed)
        go.close()

    @property
    def rows(self) -> Array:
        """Return all training rows, uint16 [n, seq_len + 1], read-only; several shards are copied into memory."""
        return self._require_stream().rows()

    @property
    def progress(self) -> float:
        """Return 0 at the start, 1 when it is time to save. Advisory: the referee's clock decides."""
        self._require_stream()
        if self._unit == "steps":
            return min(1.0, self._steps / self.budget)
        return self._pace.progress(self.reserve)

    def batches(self, batch_size: int) -> Iterator[tuple[Array, Array]]:
        """Yield (x, y), int64 [batch_size, seq_len], without end, in an order drawn from the seed in each epoch."""
        for batch in self._require_stream().batches(batch_size, self.device, self._torch):
            self._steps += 1
            yield batch

    def log(self, **values: float) -> None:
        """Report a point of the curve (`step=`, `loss=`), or other numbers by name; of losses, their mean is sent."""
        self._unsent |= {name: float(value) for name, value in values.items()}
        if "loss" in values:
            self._losses.append(self._unsent["loss"])
        if time.monotonic() - self._last_sent_at >= LOG_INTERVAL_S:
            self._flush()

    def _flush(self) -> None:
        if self._losses:
            self._unsent["loss"] = sum(self._losses) / len(self._losses)
        if self._unsent:
            self._channel.send("log", values=self._unsent)
        self._unsent, self._losses, self._last_sent_at = {}, [], time.monotonic()

    def save(self, state: dict[str, Array], config: wire.Fields) -> None:
        """Send a checkpoint: tensors by name, and the JSON that `load` needs to build the model.

        May be called more than once; the last one before the bell is scored. Before `start()` it is a rehearsal:
        nothing is sent, and the time that it takes is reserved for the real one.
        """
        if self._stream is None:
            self._rehearse_save(state, config)
            return
        if self._stream.rows_drawn:
            self._unsent["epochs"] = self._stream.epochs
        self._flush()
        self._channel.send("saving")
        fd = self._write(state, config)
        self._file = None
        try:
            wire.seal_file(fd)
            self._channel.send("checkpoint", [fd])
        finally:
            os.close(fd)
        answer = self._channel.receive()
        if answer is None or answer.kind != "saved":
            raise RuntimeError("the checkpoint was refused: " + str(answer and answer.fields.get("reason")))

    def _rehearse_save(self, state: dict[str, Array], config: wire.Fields) -> None:
        """Write a checkpoint twice into a file that the first `save` uses again: the second time is as it will be."""
        self._write(state, config)
        self._pace.wait_for_device()  # work of the setup is no part of it
        self._pace.save_time = 0.0
        self._write(state, config)

    def _write(self, state: dict[str, Array], config: wire.Fields) -> int:
        """Write a checkpoint and return its file, which is not sealed yet; note the time that it took."""
        began = self._pace.now()
        self._file = wire.create("checkpoint") if self._file is None else self._file
        checkpoint_file.write(self._file, state, config, self._torch, importlib.import_module("numpy"))
        self._pace.save_time = max(self._pace.save_time, self._pace.now() - began)
        return self._file

    def _require_stream(self) -> BatchStream:
        if self._stream is None:
            raise RuntimeError("call trial.start() first: there is no data and no clock before it")
        return self._stream
