"""Real short trials of train.py at random points around a base, as a bank for the comparison of researchers.

    python benchmarks/sweep_trials.py untuned --out untuned.jsonl --count 300 [--first 0] [--seconds 5] [--rows 512]

Every trial trains for CPU-seconds in a process of its own, forked from one that has imported torch; there is no cell,
because nobody attacks here and starting one costs more than the trial. Points are drawn from a seed: half of them move
a third of the constants by up to a factor of four, half move all of them by about 1.4; each sixteenth is the base
itself. Next to each score is the time of a fixed product of matrices, which says how fast the machine was.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from cpu_base import BASES

from autoresearch.agents.sweep.sweep_agent import Knob, knobs
from autoresearch.data.dataset import Dataset
from autoresearch.files import JsonObject
from autoresearch.measure.batches import BatchStream
from autoresearch.measure.score import evaluation_rows
from autoresearch.setup import prepare
from autoresearch.source.constants import Number, with_constants

WIDE_SHARE, WIDE_LOG2, NARROW_LOG2 = 1 / 3, 2.0, 0.5
LONGEST_S = 300.0  # of a trial, on the clock: other programs may take most of the core
REFERENCE = torch.ones(256, 256)


@dataclass
class Trial:
    """What train.py asks of its trial, without a referee behind it; `curve` holds what it logs after the start."""

    seed: int
    budget: float
    stream: BatchStream
    vocab_size: int
    seq_len: int
    device: str = "cpu"
    eval_batch: int = 32
    steps: int = 0
    state: dict[str, torch.Tensor] = field(default_factory=dict)
    config: JsonObject = field(default_factory=dict)
    curve: list[dict[str, float]] = field(default_factory=list)
    began: float = 0.0

    def start(self) -> None:
        self.began = time.process_time()

    @property
    def progress(self) -> float:
        return min(1.0, (time.process_time() - self.began) / self.budget)

    def batches(self, size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for batch in self.stream.batches(size, "cpu", torch):
            self.steps += 1
            yield batch

    def log(self, **values: float) -> None:
        if self.began and "loss" in values:
            self.curve.append({**values, "seconds": time.process_time() - self.began})

    def save(self, state: dict[str, torch.Tensor], config: JsonObject) -> None:
        self.state, self.config = {name: tensor.clone() for name, tensor in state.items()}, config


def prepare_forks() -> None:
    """Import what every trial needs, and leave no threads that a fork would lose."""
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.optim.AdamW([torch.zeros(1)])  # imports torch's compiler


def measure(text: str, seed: int, data: Dataset, seconds: float, rows: int) -> JsonObject:
    """Train and score a version in a forked process: `bpb` (None: it failed), `steps`, `reference_ms`, `curve`."""
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(receive)
        with os.fdopen(send, "w") as file:
            try:
                json.dump(_train_and_score(text, seed, data, seconds, rows), file)
            except Exception as error:  # whatever a version raises is its failure
                file.write(json.dumps({"bpb": None, "why": f"{type(error).__name__}: {error}"[:100]}))
        os._exit(0)
    os.close(send)
    with os.fdopen(receive) as file:
        answer = _read_within(file.fileno(), LONGEST_S, child)
    os.waitpid(child, 0)
    return json.loads(answer or '{"bpb": null, "why": "too slow"}')


def _read_within(descriptor: int, seconds: float, child: int) -> bytes:
    import select

    answer, until = b"", time.monotonic() + seconds
    while select.select([descriptor], [], [], max(0.0, until - time.monotonic()))[0]:
        part = os.read(descriptor, 65536)
        if not part:
            return answer
        answer += part
    os.kill(child, 9)
    return b""


def _train_and_score(text: str, seed: int, data: Dataset, seconds: float, rows: int) -> JsonObject:
    module = ModuleType("candidate")
    exec(compile(text, "train.py", "exec"), module.__dict__)
    trial = Trial(seed, seconds, BatchStream(_shards(data), seed), data.vocab_size, data.seq_len)
    before = reference_ms()
    module.train(trial)
    speed = (before + reference_ms()) / 2
    model = module.load(trial.state, trial.config, "cpu")
    bpb = score(model, evaluation_rows(data, "val", rows), data)
    if not math.isfinite(bpb):
        raise ValueError(f"the score is {bpb}")
    return {"bpb": bpb, "steps": trial.steps, "reference_ms": speed, "curve": trial.curve}


def _shards(data: Dataset) -> list[Any]:
    return [np.fromfile(path, "uint16").reshape(-1, data.seq_len + 1) for path in data.train_shards()]


@torch.no_grad()
def score(model: Callable[[torch.Tensor], torch.Tensor], rows: Any, data: Dataset) -> float:
    """Return bits per byte on rows [n, seq_len + 1]."""
    tokens, nats = torch.from_numpy(rows.astype(np.int64)), 0.0
    for part in tokens.split(64):
        logits = model(part[:, :-1])
        nats += float(torch.nn.functional.cross_entropy(logits.flatten(0, 1), part[:, 1:].flatten(), reduction="sum"))
    return nats / math.log(2) / float(data.token_bytes()[rows[:, 1:]].sum())


def reference_ms() -> float:
    """Return the CPU time of a fixed product of matrices, the median of five."""
    times = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(10):
            torch.mm(REFERENCE, REFERENCE)
        times.append(1000 * (time.process_time() - began))
    return sorted(times)[2]


def draw(text: str, number: int) -> dict[str, float]:
    """Return the moves of point `number`, log2 by constant."""
    rng, names = np.random.default_rng(number), [knob.constant.name for knob in knobs(text)]
    if number % 16 == 0:
        return {}
    if number % 2:
        wide = rng.uniform(-WIDE_LOG2, WIDE_LOG2, len(names))
        return {n: float(x) for n, x, u in zip(names, wide, rng.random(len(names)), strict=True) if u < WIDE_SHARE}
    return dict(zip(names, map(float, rng.normal(0, NARROW_LOG2, len(names))), strict=True))


def moved(text: str, moves: dict[str, float]) -> tuple[str, dict[str, Number]]:
    """Return the text after moves, and the values that its moved constants have."""
    values = {k.constant.name: move(k, moves[k.constant.name]) for k in knobs(text) if k.constant.name in moves}
    if "BATCH_TOKENS" in values:  # a pass holds the whole batch
        values["MICRO_TOKENS"] = values["BATCH_TOKENS"]
    return with_constants(text, values), values


def move(knob: Knob, log2: float) -> Number:
    """Return a constant times 2**log2, of the same kind as before; what is near 1 moves its distance from 1."""
    value = knob.constant.value
    if knob.kind == "power":
        return int(2 ** round(math.log2(value) + log2))
    if knob.kind == "complement":
        return max(0.0, 1 - (1 - value) * 2**log2)
    return max(1, round(value * 2**log2)) if isinstance(value, int) else value * 2**log2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base", choices=list(BASES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rows", type=int, default=512)
    options = parser.parse_args()
    prepare_forks()
    data, text = Dataset.open(prepare.prepare()), BASES[options.base]()
    with options.out.open("a") as file:
        for number in range(options.first, options.first + options.count):
            version, values = moved(text, draw(text, number))
            result = measure(version, number, data, options.seconds, options.rows)
            result.pop("curve", None)
            file.write(json.dumps({"base": options.base, "point": number, "values": values, **result}) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
