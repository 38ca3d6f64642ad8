"""Probes of the base in a cell, ten steps each, and the plan that follows from their speed (`plan.py`).

A budget in CPU-seconds is probed with two CPU-seconds: other programs of the machine would disturb a wall clock.
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from autoresearch import hardware
from autoresearch.errors import UserError
from autoresearch.files import JsonObject
from autoresearch.measure.cell_process import Harness
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Result
from autoresearch.measure.settings import TrialPlan
from autoresearch.measure.training import train
from autoresearch.sandbox.compile_cache import temporary_store
from autoresearch.setup import plan
from autoresearch.setup.card import total_memory
from autoresearch.setup.plan import Card, Shape
from autoresearch.setup.project import Project
from autoresearch.source import constants as source
from autoresearch.source.script import is_script

PROBE_BUDGET, CPU_PROBE_BUDGET = Budget(10, "steps"), Budget(2, "cpu")
MAX_PROBES = 8

Probe = Callable[[str], Result]


@dataclass(frozen=True)
class Plan:
    """The text of experiment 0, the reason for it, and a trial extrapolated from ten steps."""

    text: str
    device: str
    gpu: str | None
    budget: str
    reason: str
    constants: plan.Values  # those that differ from the repository's
    setup_seconds: float
    step_seconds: float  # in the unit of the budget
    tokens_per_second: float | None  # None, as below, if train.py does not report it
    steps: float | None  # in one budget; None if the budget is counted in steps
    tokens: float | None
    epochs: float | None
    peak_vram_mb: float | None

    def as_json(self) -> JsonObject:
        return {name: value for name, value in asdict(self).items() if name != "text"}


@dataclass(frozen=True)
class BasePlanner:
    """Plan the base for the first slot of a project; `on_probe` receives a line for each one."""

    project: Project
    on_probe: Callable[[str], None] = lambda line: None

    def measure(self, text: str) -> Plan:
        """Plan a text by probes, and predict its trials. Raises UserError, CellError."""
        if is_script(text):
            raise UserError("train.py is a script that keeps its own clock: there is no plan, its constants are used")
        with temporary_store() as caches:  # not for the base: its first trial compiles, which sets the limit on setup
            probe, budget_s = partial(self._probe, caches), self.project.settings.budget.seconds
            if (card := self._open_card(text)) is not None:
                planned, reason, result = settle(text, card, budget_s, probe, self._name)
                planned, result = choose_graph(planned, budget_s, partial(self._probe, None), result)
            else:
                planned = plan.fit_device(text, self.project.slot.device)
                reason = plan.CPU_REASON if planned != text else "the file's own constants"
                result = _require_ok(probe(planned))
        return self._predict(text, planned, reason, result)

    def fit(self, text: str) -> str:
        """Return the text of experiment 0: by probes on a card if its shape is as shipped, else by the profile."""
        if self._open_card(text) is None:
            return plan.fit_device(text, self.project.slot.device)
        planned = self.measure(text)
        self.on_probe(planned.reason)
        return planned.text

    def fit_by_memory(self, text: str) -> str:
        """Return the text of a single trial, planned by the memory of the card, without a probe."""
        if (card := self._open_card(text)) is None:
            return plan.fit_device(text, self.project.slot.device)
        shape = plan.shape_by_memory(card)
        return plan.write_constants(text, "cuda", shape.constants, f"by the memory of {self._name}, not measured")

    @property
    def _name(self) -> str:
        return hardware.gpu_name(self.project.slot.gpu) or "this card"

    def _open_card(self, text: str) -> Card | None:
        """Return the card of the slot, if there is one and the shape of the text is open to a plan."""
        if self.project.slot.gpu is None or not plan.has_shipped_shape(text):
            return None
        memory = total_memory(self.project.slot, self.project.data)
        return None if memory is None else Card(memory, self.project.data.vocab_size, self.project.data.seq_len)

    def _probe(self, caches: Path | None, text: str) -> Result:
        """Train ten steps, with the compile cache of the probes before."""
        settings = self.project.settings
        budget = CPU_PROBE_BUDGET if settings.budget.unit == "cpu" else PROBE_BUDGET
        settings = replace(settings, budget=budget, caches=caches)
        result = Result(outcome="ok")
        checkpoint = train(text, 0, Harness(settings, self.project.data), result, TrialPlan(keep_caches=True))
        if checkpoint is not None:
            os.close(checkpoint)
        elif result.outcome == "nothing_saved" and result.curve:
            result.outcome = "ok"  # a step may take longer than the time left to save, but its speed is known
        self.on_probe(_describe(result))
        return result

    def _predict(self, text: str, planned: str, reason: str, result: Result) -> Plan:
        before = {constant.name: constant.value for constant in source.constants(text)}
        now = {constant.name: constant.value for constant in source.constants(planned)}
        slot, budget, step = self.project.slot, self.project.settings.budget, _step_seconds(result)
        steps = budget.seconds / step if budget.seconds else None
        per_step = result.reported.get("tokens_per_step")
        read = result.reported.get("epochs")
        return Plan(
            text=planned,
            device=slot.device,
            gpu=hardware.gpu_name(slot.gpu),
            budget=str(budget),
            reason=reason,
            constants={name: value for name, value in now.items() if before.get(name) != value},
            setup_seconds=round(result.setup_seconds, 1),
            step_seconds=step,
            tokens_per_second=per_step / step if per_step else None,
            steps=steps,
            tokens=steps * per_step if steps and per_step else None,
            epochs=steps * read / result.reported["step"] if steps and read else None,
            peak_vram_mb=result.peak_vram_mb,
        )


def settle(text: str, card: Card, seconds: float, probe: Probe, name: str) -> tuple[str, str, Result]:
    """Probe and plan until the plan equals the last probe; return its text, the reason and the probe.

    Out of memory halves the tokens of a pass. Probes time the attention kernels, unless the text names some; the
    fastest are written into it. Raises UserError if nothing runs.
    """
    is_auto = plan.has_word(text, "ATTENTION", "auto")
    text = plan.write_words(text, {"ATTENTION": "fastest"}) if is_auto else text
    shape, tried, memory = plan.shape_by_memory(card), set[Shape](), card.memory
    good: tuple[str, str, Result] | None = None
    for _ in range(MAX_PROBES):
        result = probe(plan.write_constants(text, "cuda", shape.constants, f"a probe of {name}"))
        tried.add(shape)
        if result.outcome == "oom" and shape.micro > card.seq_len:
            shape = plan.halve_pass(shape)
            memory = min(memory, int(shape.training_bytes(card.vocab_size) / plan.USABLE_FRACTION))
            continue
        speed = shape.batch / _step_seconds(_require_ok(result))
        reason = _reason(name, shape, speed, seconds, card.vocab_size)
        attention = plan.fastest_attention(result.reported) or "auto"
        if is_auto:
            reason += f"; attention for short and long windows: {attention}"
        planned = plan.write_words(text, {"ATTENTION": attention}) if is_auto else text
        good = plan.write_constants(planned, "cuda", shape.constants, reason), reason, result
        wanted = plan.shape_by_speed(shape, speed, seconds, replace(card, memory=memory)) if seconds else shape
        if wanted in tried:
            break
        shape = wanted
    if good is None:
        raise UserError(f"{name} ran out of memory in {MAX_PROBES} probes: set the constants of train.py by hand")
    return good


def choose_graph(text: str, seconds: float, probe: Probe, blocks: Result) -> tuple[str, Result]:
    """Probe the model as one compiled graph; return the text and the probe of what is better.

    `blocks` is the probe of the text, block by block. Faster steps are taken if the longer setup is affordable.
    """
    if seconds < plan.MIN_GRAPH_BUDGET_S or not plan.has_word(text, "GRAPH", "blocks"):
        return text, blocks
    other = plan.write_words(text, {"GRAPH": "model"})
    model = probe(other)
    if model.outcome != "ok":
        return text, blocks
    costs = [(_step_seconds(result), result.setup_seconds) for result in (blocks, model)]
    return (other, model) if plan.prefers_one_graph(seconds, *costs) else (text, blocks)


def _reason(name: str, shape: Shape, speed: float, seconds: float, vocab_size: int) -> str:
    size, tokens = shape.matrix_parameters(vocab_size) / 1e6, speed * seconds / 1e6
    trains = f"{name} trains {speed:,.0f} tokens a second of this, {tokens:.0f}M in {seconds:.0f} s"
    what = f"{size:.0f}M parameters in matrices and head, {shape.batch:,} tokens a step"
    return f"{trains}; {what} (docs/training.md)"


def _require_ok(result: Result) -> Result:
    if result.outcome != "ok":
        raise UserError(f"the base fails in its first steps: {result.outcome}: {result.reason}")
    return result


def _step_seconds(result: Result) -> float:
    """Return the seconds of a step at the last point of the curve, which waited for the device. Raises UserError."""
    point = next((point for point in reversed(result.curve) if point.get("step")), None)
    if point is None:
        raise UserError("train.py does not log its steps: call trial.log(step=step, loss=loss)")
    return point["seconds"] / point["step"]


def _describe(result: Result) -> str:
    if result.outcome != "ok":
        return f"probe: {result.outcome}: {result.reason}"
    step, steps = _step_seconds(result), result.reported["step"]
    return f"probe: {steps:.0f} steps of {step:.3f} s, after {result.setup_seconds:.0f} s of setup"
