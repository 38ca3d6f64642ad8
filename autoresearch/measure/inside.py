"""Program inside a cell, next to untrusted code: `inside.py train|claim|audit|sample|TOOL [early]`.

Descriptor 3 is the channel to the referee. The source of train.py comes over it, never from a path. torch is imported
only if train.py imports it: a numpy train.py starts in a quarter of a second. The referee trusts nothing that this
program sends: it checks checkpoints and claims, and stores numbers as reported by the cell.
"""

import contextlib
import errno
import gc
import importlib
import mmap
import os
import socket
import sys
import traceback
from pathlib import Path
from types import ModuleType, TracebackType

HERE = Path(__file__).resolve().parent
PACKAGES = {"autoresearch": "..", "autoresearch.measure": ".", "autoresearch.sandbox": "../sandbox"}
for _name, _folder in PACKAGES.items():
    _package = ModuleType(_name)  # a cell cannot list the repository: no search for modules there
    _package.__path__ = [str(HERE / _folder)]
    sys.modules.setdefault(_name, _package)
from autoresearch.measure import answers, checkpoint_file, wire  # noqa: E402
from autoresearch.measure.answers import Model  # noqa: E402
from autoresearch.measure.program import import_torch, open_program  # noqa: E402
from autoresearch.measure.trial_context import TrialContext  # noqa: E402
from autoresearch.sandbox import compute_only  # noqa: E402

TOOLS = ("check", "same", "profile", "probe", "state")  # of an agent (autoresearch/tools), and saved_state.py
STARTERS = ("popen_fork.py", "subprocess.py", "util.py")  # files of the standard library that start processes
NO_PROCESSES = "under a budget in CPU-seconds there are no other processes: use threads, and num_workers=0"
NOT_SENT = "a worker process could not send its batch, for a cell has no sockets: use num_workers=0, or trial.batches"


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
        self.torch = import_torch(source, self.hello["threads"])
        state, config = checkpoint_file.read(checkpoint, self.torch, self.numpy)
        _begin(channel, second_filter=self.hello["second_filter"])  # from here on, code of train.py runs
        self.model: Model = open_program(source, self.hello, self.torch).load(state, config, self.device)

    def run(self) -> None:
        """Answer twice about random tokens, so that what compiles or loads late has done so, then batch by batch."""
        batch, width = self.hello["eval_batch"], self.hello["seq_len"]
        ahead = {"first": 0, "positions": [k % width for k in range(batch)], "temperature": 0.0, "count": 1}
        self._work(ahead)
        self.channel.send("loaded")
        self.channel.receive()  # the referee has read its clock: the second time is measured
        self._work(ahead)
        self.channel.send("warm")
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


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback from the first line of the untrusted program on; the whole one if it has none."""
    first = trace
    while first is not None and first.tb_frame.f_code.co_filename.startswith(f"{HERE}/"):
        first = first.tb_next
    return first or trace


def _line_of(error: BaseException) -> int | None:
    """Return the last line of train.py that an error passed; None if it passed none."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "train.py"]
    return lines[-1] if lines else None


def _train(channel: wire.Channel, source: str, hello: wire.Fields) -> None:
    torch = import_torch(source, hello["threads"])
    importlib.import_module("numpy")  # on our account
    _begin(channel, second_filter=False)
    open_program(source, hello, torch).train(TrialContext(channel, hello, torch))


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
        elif sys.argv[1] in TOOLS:
            importlib.import_module("autoresearch.measure.tool_program").run(sys.argv[1], channel, source, hello.fields)
        else:
            _ScoringCell(channel, sys.argv[1], source, hello).run()
    except BaseException as error:  # train.py may raise anything, and the referee records it
        with contextlib.suppress(OSError):
            traceback.print_exception(error.with_traceback(_without_ours(error.__traceback__)))
        text = str(error)[:400] + _advice(error)
        channel.send("error", error=type(error).__name__, text=text, line=_line_of(error))
        return 1
    channel.send("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
