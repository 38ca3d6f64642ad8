"""Program inside a cell, next to untrusted code: `inside.py train|claim|audit|sample [early]`.

Descriptor 3 is the channel to the referee. The source of train.py comes over it, never from a path. torch is imported
only if train.py imports it: a numpy train.py starts in a quarter of a second. The referee trusts nothing that this
program sends: it checks checkpoints and claims, and stores numbers as reported by the cell.
"""

import ast
import contextlib
import errno
import gc
import importlib
import io
import linecache
import mmap
import os
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).resolve().parent
PACKAGES = {"autoresearch": "..", "autoresearch.measure": ".", "autoresearch.sandbox": "../sandbox"}
for _name, _folder in PACKAGES.items():
    _package = ModuleType(_name)  # a cell cannot list the repository: no search for modules there
    _package.__path__ = [str(HERE / _folder)]
    sys.modules.setdefault(_name, _package)
from autoresearch.measure import answers, checkpoint_file, wire  # noqa: E402
from autoresearch.measure.answers import Array, Model  # noqa: E402
from autoresearch.measure.batches import BatchStream, map_rows  # noqa: E402
from autoresearch.measure.pace import Pace  # noqa: E402
from autoresearch.sandbox import compute_only  # noqa: E402

LOG_INTERVAL_S = 0.01  # points logged more often are merged
STARTERS = ("popen_fork.py", "subprocess.py", "util.py")  # files of the standard library that start processes
NO_PROCESSES = "under a budget in CPU-seconds there are no other processes: use threads, and num_workers=0"
NOT_SENT = "a worker process could not send its batch, for a cell has no sockets: use num_workers=0, or trial.batches"


class TrialContext:
    """Argument of `train`; see "The contract of train.py" in the README.

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


def _import_torch(source: str, threads: int) -> ModuleType | None:
    """Import torch if the source does."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    if all(name.split(".")[0] != "torch" for name in names):
        return None
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return torch


def _run_source(source: str) -> ModuleType:
    module = ModuleType("train")
    sys.modules["train"] = module
    # for tracebacks, and for compilers that read a function's source
    linecache.cache["train.py"] = (len(source), None, list(io.StringIO(source)), "train.py")
    gc.freeze()  # objects of torch and numpy are never freed: later collections skip them
    gc.enable()
    exec(compile(source, "train.py", "exec"), module.__dict__)
    return module


class _ScoringCell:
    """The model of a checkpoint, and the memory files of one task: its rows, and the answer.

    Until the task arrives, the rows are random tokens. Then the second filter forbids all but computing.
    """

    def __init__(self, channel: wire.Channel, mode: str, source: str, hello: wire.Message) -> None:
        self.channel, self.mode, self.hello = channel, mode, hello.fields
        self.device = self.hello["device"]
        self.numpy = importlib.import_module("numpy")
        _, checkpoint, rows, answer = hello.fds
        self.rows = self.numpy.frombuffer(mmap.mmap(rows, 0, prot=mmap.PROT_READ), dtype="uint16")
        self.answer = self.numpy.frombuffer(mmap.mmap(answer, 0), dtype="int32" if mode == "sample" else "float32")
        self.torch = _import_torch(source, self.hello["threads"])
        state, config = checkpoint_file.read(checkpoint, self.torch, self.numpy)
        _begin(channel, second_filter=self.hello["second_filter"])  # from here on, code of train.py runs
        self.model: Model = _run_source(source).load(state, config, self.device)

    def run(self) -> None:
        """Answer twice about random tokens, so that what compiles or loads late has done so, then batch by batch."""
        batch, width = self.hello["eval_batch"], self.hello["seq_len"]
        ahead = {"first": 0, "positions": [k % width for k in range(batch)], "temperature": 0.0, "count": 1}
        for kind in ("loaded", "warm"):
            self._work(ahead)
            self.channel.send(kind)
        while (task := self.channel.receive()) is not None and task.kind == "task":
            self._work(task.fields)
            self.channel.send("answered")

    def _work(self, task: wire.Fields) -> None:
        if self.mode == "sample":
            self._sample(task["temperature"], task["count"])
        else:
            self._evaluate(task["first"], task["positions"])

    def _evaluate(self, first: int, positions: list[int]) -> None:
        """Fill the answer about one batch with losses of rows (claim), or with logits at a position of each (audit)."""
        numpy, batch = self.numpy, self.hello["eval_batch"]
        width = self.hello["seq_len"] + (self.mode == "claim")
        rows = self.rows.reshape(-1, width)
        answer = self.answer.reshape(len(rows), -1)
        block = rows[first : first + batch]
        padded = block if len(block) == batch else numpy.resize(block, (batch, width))  # one shape throughout
        tokens = padded.astype("int64")
        if self.mode == "claim":
            values = answers.losses(self.model, tokens, self.device, self.torch)
        else:
            asked = numpy.resize(numpy.array(positions, dtype="int64"), batch)
            values = answers.logits_at(self.model, tokens, asked, self.device, self.torch)
        answer[first : first + len(block)] = values[: len(block)]

    def _sample(self, temperature: float, count: int | None) -> None:
        """Fill the answer, or its first tokens, with tokens that continue the prompt."""
        ask = lambda row, position: answers.logits_at(self.model, row, position, self.device, self.torch)  # noqa: E731
        seed, width = self.hello["seed"], self.hello["seq_len"]
        answers.draw(ask, self.rows.tolist(), self.answer[:count], width, temperature, seed)


def _begin(channel: wire.Channel, second_filter: bool) -> None:
    """Tell the referee that code of train.py runs from here on, and hand it the listener of the second filter."""
    if "torch" in sys.modules:  # numpy programs do not wait for another import
        _report_unsent_items(channel)
    listener = compute_only.install() if second_filter else None
    channel.send("runs", [] if listener is None else [listener])
    if listener is not None:
        os.close(listener)


def _report_unsent_items(channel: wire.Channel) -> None:
    """Report it as an error if a process cannot send what it has queued: who waits for it would wait for ever.

    So it is with the workers of a DataLoader, which send tensors as descriptors over sockets.
    """

    def report(error: Exception, item: object) -> None:
        traceback.print_exc()
        with contextlib.suppress(wire.Closed):
            channel.send("error", error=type(error).__name__, text=f"{str(error)[:100]}: {NOT_SENT}")

    importlib.import_module("multiprocessing.queues").Queue._on_queue_feeder_error = staticmethod(report)


def _advice(error: BaseException) -> str:
    """Return what to do about an error whose own text does not say it."""
    frames = traceback.extract_tb(error.__traceback__, -1)
    is_refused = isinstance(error, PermissionError) and error.errno == errno.EPERM
    return f": {NO_PROCESSES}" if is_refused and Path(frames[0].filename).name in STARTERS else ""


def _train(channel: wire.Channel, source: str, hello: wire.Fields) -> None:
    torch = _import_torch(source, hello["threads"])
    importlib.import_module("numpy")  # on our account
    _begin(channel, second_filter=False)
    _run_source(source).train(TrialContext(channel, hello, torch))


def _import_ahead(mode: str) -> None:
    """Import torch and, for training, its compiler, which the first optimizer would import."""
    importlib.import_module("torch")
    if mode == "train":
        with contextlib.suppress(ImportError):
            importlib.import_module("torch._dynamo")


def main() -> int:
    """Receive `hello`, do one task, and report how it ended."""
    gc.disable()  # until train.py runs: collections would take a tenth of the time of `import torch`
    channel = wire.Channel(socket.socket(fileno=3), receive_fds=wire.FDS_FROM_REFEREE)
    if sys.argv[2:] == ["early"]:
        _import_ahead(sys.argv[1])
        channel.send("here")
    hello = channel.receive()
    assert hello is not None
    source = os.pread(hello.fds[0], wire.MAX_SOURCE_BYTES, 0).decode()
    try:
        if sys.argv[1] == "train":
            _train(channel, source, hello.fields)
        else:
            _ScoringCell(channel, sys.argv[1], source, hello).run()
    except BaseException as error:  # train.py may raise anything, and the referee records it
        with contextlib.suppress(OSError):
            traceback.print_exc()
        channel.send("error", error=type(error).__name__, text=str(error)[:400] + _advice(error))
        return 1
    channel.send("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
