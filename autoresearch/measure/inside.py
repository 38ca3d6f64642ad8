"""Runs inside a cell, next to code that is not to be trusted: `inside.py train|claim|audit|sample [early]`.

Descriptor 3 is the channel to the referee. The source of train.py comes over it, never from a path. torch is
imported only if train.py imports it: a numpy train.py starts in a quarter of a second. Nothing here is believed:
what this program sends are checkpoints, claims and numbers for the record, and the referee checks or labels them.
"""

import ast
import gc
import importlib
import json
import linecache
import mmap
import os
import socket
import sys
import time
import traceback
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
for _name, _folder in (("autoresearch", HERE.parent), ("autoresearch.measure", HERE)):
    _package = types.ModuleType(_name)  # a cell may not list the repository, so nothing is searched there
    _package.__path__ = [str(_folder)]
    sys.modules.setdefault(_name, _package)
from autoresearch.measure import answers, wire  # noqa: E402
from autoresearch.measure.batches import BatchStream, map_rows  # noqa: E402

STEP_FADES = 0.9  # how much of a long step is remembered at the next one
LOG_INTERVAL = 0.01  # s between two points that are sent; what is logged more often is merged into the next


class TrialContext:
    """What train.py is given; see "The contract of train.py" in the README.

    Before `start()` there is no training data in this process. After it, `rows` are uint16
    [n, seq_len + 1] and `progress` runs from 0 to 1 over the budget, less `reserve` (time that `save` needs). It is
    1 where another step, as long as the longest of the last ones, would not end in time.
    """

    def __init__(self, channel: wire.Channel, hello: dict[str, Any], torch: Any) -> None:
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
        self._looked = self._step = 0.0  # of the budget: at the last look at `progress`, and from one look to the next
        self._unsent: dict[str, float] = {}
        self._logged = 0.0
        self._feed: BatchStream | None = None

    def start(self) -> None:
        """Ends the setup: the training rows arrive and the clock runs."""
        if self._feed is not None:
            raise RuntimeError("trial.start() may be called once")
        importlib.import_module(_library(self._torch))  # for `save`: importing it then would cost budget
        self._channel.send("ready")
        go = self._channel.receive()
        assert go is not None
        self._charged = float(go.fields["charged"])
        self._started, self._looked = self._now(), self._charged
        self._feed = BatchStream([map_rows(fd, self.seq_len) for fd in go.fds], self.seed)
        go.close()

    @property
    def rows(self) -> Any:
        """All training rows, uint16 [n, seq_len + 1], read-only (copied into memory if there are several shards)."""
        return self._started_feed().rows()

    @property
    def progress(self) -> float:
        """0 at the start, 1 when it is time to save. Advisory: the referee's clock decides."""
        self._started_feed()
        if self._unit == "steps":
            return min(1.0, self._steps / self.budget)
        spent = self._charged + self._now() - self._started
        self._step = max(spent - self._looked, STEP_FADES * self._step)
        self._looked = spent
        left = self.budget - self.reserve - spent
        return 1.0 if left < self._step else spent / (self.budget - self.reserve)

    def batches(self, batch_size: int) -> Iterator[tuple[Any, Any]]:
        """Endless (x, y), int64 [batch_size, seq_len], in an order drawn from the seed, fresh in each epoch."""
        for batch in self._started_feed().batches(batch_size, self.device, self._torch):
            self._steps += 1
            yield batch

    def log(self, **values: float) -> None:
        """A point of the curve (`step=`, `loss=`), or facts for the record: numbers by name."""
        self._unsent |= {name: float(value) for name, value in values.items()}
        if time.monotonic() - self._logged >= LOG_INTERVAL:
            self._flush()

    def _flush(self) -> None:
        if self._unsent:
            self._channel.send("log", values=self._unsent)
        self._unsent, self._logged = {}, time.monotonic()

    def save(self, state: dict[str, Any], config: dict[str, Any]) -> None:
        """Hand over a checkpoint: tensors by name, and what `load` needs to build the model (plain JSON).

        May be called more than once; the last one before the bell is scored. Tensors are cloned and untied.
        """
        if self._feed is not None and self._feed.drawn:
            self._unsent["epochs"] = self._feed.epochs
        self._flush()
        self._channel.send("saving")
        fd = wire.seal("checkpoint", _safetensors(state, config, self._torch))
        try:
            self._channel.send("checkpoint", [fd])
        finally:
            os.close(fd)
        answer = self._channel.receive()
        if answer is None or answer.kind != "saved":
            raise RuntimeError("the checkpoint was refused: " + str(answer and answer.fields.get("reason")))

    def _now(self) -> float:
        return time.process_time() if self._unit == "cpu" else time.monotonic()

    def _started_feed(self) -> BatchStream:
        if self._feed is None:
            raise RuntimeError("call trial.start() first: there is no data and no clock before it")
        return self._feed


def _library(torch: Any) -> str:
    return "safetensors.numpy" if torch is None else "safetensors.torch"


def _safetensors(state: dict[str, Any], config: dict[str, Any], torch: Any) -> bytes:
    metadata = {"config": json.dumps(config)}
    if torch is None:
        numpy = importlib.import_module("numpy")
        arrays = {name: numpy.array(value, order="C") for name, value in state.items()}
        return bytes(importlib.import_module(_library(torch)).save(arrays, metadata))
    tensors = {
        name: value.detach().to("cpu", copy=True).clone(memory_format=torch.contiguous_format)
        for name, value in state.items()
    }
    return bytes(importlib.import_module(_library(torch)).save(tensors, metadata))


def _load_checkpoint(fd: int, torch: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    raw = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    state = importlib.import_module(_library(torch)).load(raw[:])
    return state, json.loads(header.get("__metadata__", {}).get("config", "{}"))


def _wants_torch(source: str) -> bool:
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(name.split(".")[0] == "torch" for name in names):
            return True
    return False


def _import_torch(threads: int) -> Any:
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return torch


def _run_source(source: str) -> types.ModuleType:
    module = types.ModuleType("train")
    sys.modules["train"] = module
    # tracebacks, and the compilers that read a function's source, look it up here
    linecache.cache["train.py"] = (len(source), None, source.splitlines(keepends=True), "train.py")
    gc.freeze()  # what torch and numpy made at import stays: no later collection has to walk over it
    gc.enable()
    exec(compile(source, "train.py", "exec"), module.__dict__)
    return module


def _loaded(source: str, checkpoint: int, hello: dict[str, Any]) -> tuple[Any, Any]:
    """The model as `load` makes it, and torch if it is used."""
    torch = _import_torch(hello["threads"]) if _wants_torch(source) else None
    state, config = _load_checkpoint(checkpoint, torch)  # before any agent code runs
    return _run_source(source).load(state, config, hello["device"]), torch


def _evaluate(channel: wire.Channel, mode: str, source: str, checkpoint: int, hello: dict[str, Any]) -> None:
    """Answer one task: per-token losses of whole rows (claim), or logits at one position each (audit)."""
    model, torch = _loaded(source, checkpoint, hello)
    task = channel.receive()
    assert task is not None
    numpy = importlib.import_module("numpy")
    width = hello["seq_len"] + (mode == "claim")
    rows = numpy.frombuffer(mmap.mmap(task.fds[0], 0, prot=mmap.PROT_READ), dtype="uint16").reshape(-1, width)
    answer = numpy.frombuffer(mmap.mmap(task.fds[1], 0), dtype="float32").reshape(len(rows), -1)
    positions = numpy.array(task.fields["positions"], dtype="int64")
    batch = task.fields["batch"]
    for first in range(0, len(rows), batch):
        block = rows[first : first + batch]
        padded = block if len(block) == batch else numpy.resize(block, (batch, width))  # one shape throughout
        tokens = padded.astype("int64")
        if mode == "claim":
            values = answers.losses(model, tokens, hello["device"], torch)
        else:
            where = numpy.resize(positions[first : first + batch], batch)
            values = answers.logits_at(model, tokens, where, hello["device"], torch)
        answer[first : first + len(block)] = values[: len(block)]


def _sample(channel: wire.Channel, source: str, checkpoint: int, hello: dict[str, Any]) -> None:
    """Answer one task: the tokens that the model goes on with."""
    model, torch = _loaded(source, checkpoint, hello)
    task = channel.receive()
    assert task is not None
    numpy = importlib.import_module("numpy")
    prompt = numpy.frombuffer(mmap.mmap(task.fds[0], 0, prot=mmap.PROT_READ), dtype="uint16").tolist()
    answer = numpy.frombuffer(mmap.mmap(task.fds[1], 0), dtype="int32")
    ask = lambda row, position: answers.logits_at(model, row, position, hello["device"], torch)  # noqa: E731
    answers.draw(ask, prompt, answer, hello["seq_len"], task.fields["temperature"], hello["seed"])


def _train(channel: wire.Channel, source: str, hello: dict[str, Any]) -> None:
    torch = _import_torch(hello["threads"]) if _wants_torch(source) else None
    _run_source(source).train(TrialContext(channel, hello, torch))


def main() -> int:
    """Say hello, do the one task, and report how it ended."""
    gc.disable()  # until agent code runs: collecting while torch is imported takes a tenth of the time, for nothing
    channel = wire.Channel(socket.socket(fileno=3), receive_fds=wire.FDS_FROM_REFEREE)
    if sys.argv[2:] == ["early"]:
        importlib.import_module(_library(importlib.import_module("torch")))
        channel.send("here")
    hello = channel.receive()
    assert hello is not None
    source = os.pread(hello.fds[0], wire.SOURCE_LIMIT, 0).decode()
    try:
        if sys.argv[1] == "train":
            _train(channel, source, hello.fields)
        elif sys.argv[1] == "sample":
            _sample(channel, source, hello.fds[1], hello.fields)
        else:
            _evaluate(channel, sys.argv[1], source, hello.fds[1], hello.fields)
    except BaseException as error:  # agent code may raise anything; the referee wants to know what
        traceback.print_exc()
        channel.send("error", error=type(error).__name__, text=str(error)[:500])
        return 1
    channel.send("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
