"""Tools that try a version, inside a cell: `check`, `same`, `profile`, `probe`, and `state` for a script.

They see training rows only. What they report is the claim of the program that runs here, and decides nothing; the
answers of `same` are compared outside.
"""

import importlib
import mmap
import sys
from types import ModuleType
from typing import Any

from autoresearch.measure import answers, checkpoint_file, wire
from autoresearch.measure.answers import Array, Model
from autoresearch.measure.batches import map_rows
from autoresearch.measure.program import import_torch, open_program
from autoresearch.measure.tool_context import ToolContext, tool_clock
from autoresearch.measure.tool_profile import Functions, LoopParts, Operators

CAUSAL_TESTS = 4  # positions
MAX_ANSWER_NUMBERS = 1 << 22  # logits at a time: 16 MiB
STAGES = ("train()", "load()", "the function that load() returns", "the text of train.py", "the snippet")
TICK = 1e-6  # in place of no steps: a script divides by its budget
SHOWN = 12  # functions or operators of a profile


def run(mode: str, channel: wire.Channel, source: str, hello: wire.Fields) -> None:
    """Receive the task of a tool, with the training rows, and do it."""
    task = channel.receive()
    assert task is not None
    tool = _Tool(channel, source, hello, task)
    tools = {"check": tool.check, "same": tool.same, "profile": tool.profile, "probe": tool.probe, "state": tool.state}
    tools[mode]()
    channel.receive()  # until it is killed: its memory is read before


class _Tool:
    def __init__(self, channel: wire.Channel, source: str, hello: wire.Fields, task: wire.Message) -> None:
        self.channel, self.source, self.hello, self.task = channel, source, hello, task.fields
        self.numpy = importlib.import_module("numpy")
        self.fds = list(task.fds[: self.task["files"]])
        self.rows = [map_rows(fd, hello["seq_len"]) for fd in task.fds[self.task["files"] :]]
        self.torch: ModuleType | None = None
        self.now = tool_clock(hello["threads"])

    def _stage(self, name: str) -> None:
        self.channel.send("stage", name=name)

    def _program(self, **limit: Any) -> Any:
        """Open the program; `limit` are a unit and a budget that a script is told instead of the trial's."""
        self.torch = self.torch or import_torch(self.source, self.hello["threads"])
        return open_program(self.source, self.hello | limit, self.torch)

    def _train(self, **options: Any) -> ToolContext:
        """Train as the task says. Raises RuntimeError if nothing was saved."""
        self.program = self._program(**_limit_of(self.hello["threads"], **options))
        self._stage("train()")
        trial = ToolContext(self.channel, self.hello, self.torch, self.rows, **options)
        self.program.train(trial)
        if trial.last is None:
            raise RuntimeError("train() returned without trial.save() after trial.start()")
        return trial

    def _load(self, checkpoint: int) -> Model:
        """Load a checkpoint with a module that has not trained: a score is in another process."""
        self._stage("load()")
        state, config = checkpoint_file.read(checkpoint, self.torch, self.numpy)
        model: Model = self._program().load(state, config, self.hello["device"])
        return model

    # --- check

    def check(self) -> None:
        parts = LoopParts()
        try:
            trial = self._train(seconds=self.task["seconds"], look=parts.start)
        finally:
            parts.end()
        assert trial.last is not None
        facts: wire.Fields = {"setup": trial.setup_s, "steps": trial.reported.get("step", trial.steps_taken)}
        facts |= {"step": trial.seconds_per_step, "batch": trial.seconds_per_batch, "save": trial.save_s}
        facts["loss"] = trial.reported.get("loss")
        facts["parts"] = _largest(parts.shares())
        began = self.now()
        model = self._load(trial.last)
        facts["load"] = self.now() - began
        self._stage("the function that load() returns")
        self.channel.send("result", [trial.last], **facts, **self._examine(model))

    def _examine(self, model: Model) -> wire.Fields:
        """Ask a model about training rows, and about the same rows with later tokens or other rows changed."""
        numpy, width, vocabulary = self.numpy, self.hello["seq_len"], self.hello["vocab_size"]
        count = max(1, min(self.hello["eval_batch"], MAX_ANSWER_NUMBERS // (width * vocabulary)))
        rng = numpy.random.default_rng(self.hello["seed"])
        tokens = self.rows[0][rng.integers(len(self.rows[0]), size=count)].astype("int64")
        x, y = tokens[:, :-1], tokens[:, 1:]
        logits = self._logits(model, x)
        if logits.shape != (count, width, vocabulary):
            return {"shape": [*map(int, logits.shape)], "wanted": [count, width, vocabulary]}
        began = self.now()
        again = self._logits(model, x)
        facts: wire.Fields = {"answer": self.now() - began, "rows": count}
        facts["finite"] = bool(numpy.isfinite(logits).all())
        facts["varies"] = _largest_change(numpy, logits, again)
        facts["row_loss"] = _mean_loss(numpy, logits, y)
        facts["leak"], facts["leak_at"] = self._future(model, x, logits, rng)
        others = x.copy()
        others[1:] = rng.integers(vocabulary, size=others[1:].shape)
        facts["mixes"] = _largest_change(numpy, logits[:1], self._logits(model, others)[:1])
        return facts

    def _future(self, model: Model, x: Array, logits: Array, rng: Any) -> tuple[float, int]:
        """Return the largest change of a logit by later tokens, and the position after which they were changed."""
        found = [(0.0, 0)]
        for position in sorted(rng.integers(0, max(1, x.shape[1] - 1), CAUSAL_TESTS).tolist()):
            other = x.copy()
            other[:, position + 1 :] = rng.integers(self.hello["vocab_size"], size=other[:, position + 1 :].shape)
            changed = self._logits(model, other)
            before = slice(0, position + 1)
            found.append((_largest_change(self.numpy, logits[:, before], changed[:, before]), position))
        return max(found)

    def _logits(self, model: Model, tokens: Array) -> Array:
        if self.torch is None:
            return self.numpy.asarray(model(tokens))
        with self.torch.inference_mode():
            return model(self.torch.from_numpy(tokens)).float().cpu().numpy()

    # --- same

    def same(self) -> None:
        """Answer after no step and after some, and with the weights of the other version if there is one."""
        other = self._open_question(3)
        trained = self._train(steps=self.task["steps"])
        assert trained.last is not None
        first = trained.first if trained.first is not None else self._train(steps=0).last
        assert first is not None
        for k, checkpoint in enumerate([first, trained.last]):
            self._answer(k, checkpoint)
            steps = trained.steps_taken if k else 0
            self.channel.send("state", [checkpoint], steps=steps)
        for checkpoint in other:
            try:
                self._answer(2, checkpoint)
            except Exception:  # weights of another form are no fault of this version
                self.answers[2] = self.numpy.nan
        self.channel.send("result")

    def _open_question(self, count: int) -> list[int]:
        """Map the rows that are asked about, and room for `count` answers; return the other files of the task."""
        tokens, answer, *other = self.fds
        numpy, width = self.numpy, self.hello["seq_len"]
        self.asked = numpy.array(self.task["positions"])
        self.x = numpy.frombuffer(mmap.mmap(tokens, 0, prot=mmap.PROT_READ), "uint16").reshape(-1, width)
        self.answers = numpy.frombuffer(mmap.mmap(answer, 0), "float32").reshape(count, len(self.x), -1)
        return other

    def _answer(self, k: int, checkpoint: int) -> None:
        self._answer_with(self._load(checkpoint), k)

    def _answer_with(self, model: Model, k: int) -> None:
        self._stage("the function that load() returns")
        batch = self.task["batch"]
        for first in range(0, len(self.x), batch):
            place = slice(first, first + batch)
            x = self.x[place].astype("int64")
            logits = answers.logits_at(model, x, self.asked[place], self.hello["device"], self.torch)
            self.answers[k, place] = logits

    # --- state

    def state(self) -> None:
        """Train a script briefly, and answer with the model that is still in memory."""
        self._open_question(1)
        trained = self._train(seconds=self.task["seconds"])
        assert trained.last is not None
        self._answer_with(self.program.model, 0)
        self.channel.send("result", [trained.last])

    # --- profile

    def profile(self) -> None:
        self._program()
        profiler = Functions() if self.torch is None else Operators(self.torch)
        trial = self._train(seconds=self.task["seconds"], look=lambda frame: profiler.start())
        rows = profiler.end()
        whole = sum(seconds for _, seconds, _ in rows)
        steps = trial.reported.get("step", trial.steps_taken)
        facts: wire.Fields = {"step": trial.seconds_per_step, "steps": steps, "whole": whole, "unit": profiler.unit}
        self.channel.send("result", rows=sorted(rows, key=lambda row: -row[1])[:SHOWN], **facts)

    # --- probe

    def probe(self) -> None:
        """Execute a snippet next to the training rows."""
        snippet = self.task["snippet"]
        self.torch = import_torch(snippet, self.hello["threads"])
        if self.task["uses_train"]:
            self._stage("the text of train.py")
            self._program()
        self._stage("the snippet")
        names: dict[str, Any] = {"__name__": "probe", "rows": self.rows[0], "np": self.numpy, "numpy": self.numpy}
        names |= {"torch": self.torch} if self.torch else {}
        names |= {name: self.hello[name] for name in ("vocab_size", "seq_len", "seed")}
        exec(compile(snippet, "probe.py", "exec"), names)
        sys.stdout.flush()
        self.channel.send("result")


def _limit_of(threads: int, seconds: float = 0.0, steps: int | None = None, **rest: Any) -> wire.Fields:
    """Return the unit and the budget of a short run."""
    if steps is not None:
        return {"unit": "steps", "budget": steps or TICK}
    return {"unit": "cpu" if threads == 1 else "s", "budget": seconds}


def _largest_change(numpy: ModuleType, one: Array, other: Array) -> float:
    return float(numpy.abs(one.astype("float64") - other).max()) if one.size else 0.0


def _mean_loss(numpy: ModuleType, logits: Array, targets: Array) -> float:
    """Return the mean loss in nats, of logits [B, T, V]."""
    shifted = logits - logits.max(-1, keepdims=True)
    right = numpy.take_along_axis(shifted, targets[..., None], -1)[..., 0]
    return float((numpy.log(numpy.exp(shifted).sum(-1)) - right).mean())


def _largest(shares: dict[str, float]) -> list[tuple[str, float]]:
    return sorted(shares.items(), key=lambda pair: -pair[1])[:SHOWN]
