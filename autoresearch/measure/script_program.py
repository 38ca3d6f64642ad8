"""A train.py that is a script (source/script.py) as a program of our contract, inside a cell.

`train` runs it with our `prepare`, up to its call of evaluate_bpb. `load` runs it again, on random tokens and with
nearly no time, up to the same call, and puts the saved state into the model that it gets there.
"""

import importlib
import random
import sys
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from autoresearch.measure import wire
from autoresearch.measure.answers import Array, Model
from autoresearch.measure.kernels_module import make_kernels
from autoresearch.measure.prepare_module import Feed, ModelHandedOver, make_prepare
from autoresearch.measure.trial_context import TrialContext

NEARLY_NO_TIME = 1e-9  # a script divides by its budget
CLOCKS = ("time", "perf_counter", "monotonic")
TICK = 1e-6  # that each look at a clock of batches adds: a script divides by the length of a step


class ScriptProgram:
    """`train` and `load` of a script; `model` is the one that it has trained in this process."""

    def __init__(
        self, source: str, hello: wire.Fields, torch: ModuleType | None, run_source: Callable[[str, str], object]
    ) -> None:
        if torch is None:
            raise ImportError("train.py has to import torch: its model is a torch module")
        self.source, self.hello, self.torch, self.run_source = source, hello, torch, run_source
        self.model: Model | None = None

    def train(self, trial: TrialContext) -> None:
        feed = _TrialFeed(trial, self.hello["prepare"]["train_rows"])
        _set_clock(self.hello["unit"], feed)

        def save(model: Any) -> None:
            trial.save(model.state_dict(), {})
            self.model = self._call_as_here(model)

        self._run(self.hello["budget"], feed, save)

    def load(self, state: dict[str, Array], config: wire.Fields, device: str) -> Model:
        found: list[tuple[Any, Model]] = []
        feed = _RandomFeed(self.hello, self.torch)
        self._run(NEARLY_NO_TIME, feed, lambda model: found.append((model, self._call_as_here(model))))
        model, answer = found[0]
        model.load_state_dict(state)
        return answer

    def _run(self, time_budget: float, feed: Feed, hand_over: Callable[[Any], None]) -> None:
        """Run the script up to its call of evaluate_bpb. Raises RuntimeError if it ends before."""
        self._seed()
        sys.modules["prepare"] = make_prepare(self.hello, time_budget, feed, hand_over, self.torch)
        sys.modules["kernels"] = make_kernels(self.torch)
        sys.argv = ["train.py"]
        try:
            self.run_source(self.source, "__main__")
        except ModelHandedOver:
            return
        except SystemExit as end:
            raise RuntimeError(f"train.py ended itself ({end.code}) before it called evaluate_bpb") from end
        raise RuntimeError("train.py ended without calling evaluate_bpb(model, tokenizer, batch_size)")

    def _seed(self) -> None:
        """Seed all generators, and add the trial's seed to each one that the script sets."""
        seed, torch = self.hello["seed"], self.torch
        for place in (torch, torch.cuda):
            for name in {"manual_seed", "manual_seed_all"} & set(vars(place)):
                setattr(place, name, _shifted(getattr(place, name), seed))
        torch.manual_seed(0)
        random.seed(seed)
        importlib.import_module("numpy").random.seed(seed % 2**32)

    def _call_as_here(self, model: Any) -> Model:
        """Return a function that calls a model under the autocast that is on now."""
        torch, device = self.torch, self.hello["device"]
        enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)

        def answer(tokens: Array) -> Array:
            with torch.autocast(device, dtype=dtype, enabled=enabled):
                return model(tokens)

        return answer


class _TrialFeed:
    """The referee's rows; the clock of the trial starts when the first batch is asked for."""

    def __init__(self, trial: TrialContext, rows: int) -> None:
        self.trial, self.rows = trial, rows
        self.started, self.drawn, self.drawn_rows = False, 0, 0

    @property
    def epoch(self) -> int:
        return 1 + max(0, self.drawn_rows - 1) // self.rows

    def batches(self, size: int) -> Iterator[tuple[Array, Array]]:
        if not self.started:
            self.started = True
            self.trial.start()
        for batch in self.trial.batches(size):
            self.drawn, self.drawn_rows = self.drawn + 1, self.drawn_rows + size
            yield batch


class _RandomFeed:
    """Rows of random tokens, one at a time: a script that is to be loaded takes its steps on them."""

    @property
    def epoch(self) -> int:
        return 1

    def __init__(self, hello: wire.Fields, torch: ModuleType) -> None:
        self.hello, self.torch = hello, torch

    def batches(self, size: int) -> Iterator[tuple[Array, Array]]:
        shape = (1, self.hello["seq_len"] + 1)
        while True:
            tokens = self.torch.randint(self.hello["vocab_size"], shape, device=self.hello["device"])
            yield tokens[:, :-1], tokens[:, 1:]


def _shifted(set_seed: Callable[[int], object], seed: int) -> Callable[[int], object]:
    return lambda value: set_seed((int(value) + seed) % 2**63)


def _set_clock(unit: str, feed: _TrialFeed) -> None:
    """Let the clocks of `time` count the unit of the budget: CPU-seconds, or batches; seconds they count already."""
    if unit == "s":
        return
    began, looks = time.time(), iter(range(sys.maxsize))
    spent = time.process_time if unit == "cpu" else lambda: feed.drawn + TICK * next(looks)
    for name in CLOCKS:
        setattr(time, name, lambda: began + spent())
