"""What this device can do: ten steps of the base in a cell, and the plan that follows from them (`plan.py`).

Where trials are counted in CPU-seconds, two of those instead: the clock on the wall would measure the neighbours.
"""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from autoresearch import hardware
from autoresearch.errors import UserError
from autoresearch.measure import facts
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Result
from autoresearch.measure.training import train
from autoresearch.setup import plan
from autoresearch.setup.plan import Card, Shape
from autoresearch.setup.project import Project
from autoresearch.source import constants as source

STEPS, CPU_SECONDS = Budget(10, "steps"), Budget(2, "cpu")
PROBES = 8  # at most, for one plan

Probe = Callable[[str], Result]


@dataclass(frozen=True)
class Plan:
    """The text of experiment 0, why it is so, and what ten steps of it tell of a whole trial.

    `constants` are those that differ from the repository's. What train.py does not report is None.
    """

    text: str
    device: str
    gpu: str | None
    budget: str
    reason: str
    constants: plan.Values
    setup_seconds: float
    step_seconds: float  # in the unit of the budget
    tokens_per_second: float | None
    steps: float | None  # in one budget; None where it says nothing about time, or is counted in steps itself
    tokens: float | None
    epochs: float | None
    peak_vram_mb: float | None

    @property
    def warning(self) -> str | None:
        """Where a budget would read the training data too often."""
        return facts.repetition_warning({"reported": {"epochs": self.epochs}})

    def as_json(self) -> dict[str, Any]:
        """As `plan --json` shows it."""
        return {name: value for name, value in asdict(self).items() if name != "text"}


def measured(text: str, place: Project, tell: Callable[[str], None] = lambda line: None) -> Plan:
    """The plan for a text on the slot of a place; `tell` hears of each probe. Raises UserError, CellError."""
    card = _card(place)

    def probe(candidate: str) -> Result:
        result = _probe_once(candidate, place)
        tell(_described(result))
        return result

    if card is not None and plan.open_for_a_card(text):
        settled, reason, result = settle(text, card, place.settings.budget.seconds, probe, _name(place))
    else:
        settled = plan.fitted(text, place.slot.device)
        reason = plan.CPU_REASON if settled != text else "the file's own constants"
        result = _good(probe(settled))
    return _plan(text, settled, reason, result, place)


def base(text: str, place: Project, tell: Callable[[str], None]) -> str:
    """The text of experiment 0: planned by measurement on a card whose shape is still open, else by the profile."""
    if _card(place) is None or not plan.open_for_a_card(text):
        return plan.fitted(text, place.slot.device)
    found = measured(text, place, tell)
    tell(found.reason)
    return found.text


def unmeasured(text: str, place: Project) -> str:
    """The text for a single trial: what the memory of the card suggests, without a probe."""
    card = _card(place)
    if card is None or not plan.open_for_a_card(text):
        return plan.fitted(text, place.slot.device)
    shape = plan.by_memory(card)
    return plan.written(text, "cuda", shape.constants, f"by the memory of {_name(place)}, not measured")


def settle(text: str, card: Card, seconds: float, probe: Probe, name: str) -> tuple[str, str, Result]:
    """Probe and plan until the plan is the one that was probed: its text, the reason, the last probe.

    Out of memory halves what goes through the card at once. Raises UserError where nothing runs.
    """
    shape, tried, most = plan.by_memory(card), set[Shape](), card.memory
    good: tuple[str, str, Result] | None = None
    for _ in range(PROBES):
        result = probe(plan.written(text, "cuda", shape.constants, f"a probe of {name}"))
        tried.add(shape)
        if result.outcome == "oom" and shape.micro > card.seq_len:
            shape = plan.halved(shape)
            most = min(most, int(shape.memory(card.vocab_size) / plan.USABLE))
            continue
        speed = shape.batch / _step_seconds(_good(result))
        reason = _reason(name, shape, speed, seconds, card.vocab_size)
        good = plan.written(text, "cuda", shape.constants, reason), reason, result
        wanted = plan.by_speed(shape, speed, seconds, replace(card, memory=most)) if seconds else shape
        if wanted in tried:  # this one, or one that led here
            break
        shape = wanted
    if good is None:
        raise UserError(f"{name} has no memory for any plan in {PROBES} probes: set the constants of train.py by hand")
    return good


def _reason(name: str, shape: Shape, speed: float, seconds: float, vocab_size: int) -> str:
    size, tokens = shape.computing(vocab_size) / 1e6, speed * seconds / 1e6
    trains = f"{name} trains {speed:,.0f} tokens a second of this, {tokens:.0f}M in {seconds:.0f} s"
    what = f"{size:.0f}M parameters in matrices and head, {shape.batch:,} tokens a step"
    return f"{trains}; {what} (docs/training.md)"


def _probe_once(text: str, place: Project) -> Result:
    budget = CPU_SECONDS if place.settings.budget.unit == "cpu" else STEPS
    settings = replace(place.settings, budget=budget)
    result = Result(outcome="ok")
    checkpoint = train(text, 0, settings, place.data, result)
    if checkpoint is not None:
        os.close(checkpoint)
    elif result.outcome == "nothing_saved" and result.curve:
        result.outcome = "ok"  # a step may be longer than what is left for saving: its speed is known all the same
    return result


def _good(result: Result) -> Result:
    if result.outcome != "ok":
        raise UserError(f"the base fails in its first steps: {result.outcome}: {result.reason}")
    return result


def _step_seconds(result: Result) -> float:
    """Seconds of a step up to the last point of the curve, which waited for the device. Raises UserError."""
    point = next((point for point in reversed(result.curve) if point.get("step")), None)
    if point is None:
        raise UserError("train.py does not log its steps: call trial.log(step=step, loss=loss)")
    return point["seconds"] / point["step"]


def _described(result: Result) -> str:
    if result.outcome != "ok":
        return f"probe: {result.outcome}: {result.reason}"
    step, steps = _step_seconds(result), result.reported["step"]
    return f"probe: {steps:.0f} steps of {step:.3f} s, after {result.setup_seconds:.0f} s of setup"


def _card(place: Project) -> Card | None:
    memory = hardware.gpu_memory(place.slot.gpu)
    return None if memory is None else Card(memory[0], place.data.vocab_size, place.data.seq_len)


def _name(place: Project) -> str:
    return hardware.gpu_name(place.slot.gpu) or "this card"


def _plan(text: str, settled: str, reason: str, result: Result, place: Project) -> Plan:
    before = {constant.name: constant.value for constant in source.constants(text)}
    now = {constant.name: constant.value for constant in source.constants(settled)}
    budget, step = place.settings.budget, _step_seconds(result)
    steps = budget.seconds / step if budget.seconds else None
    per_step = result.reported.get("tokens_per_step")
    tokens = steps * per_step if steps and per_step else None
    read = result.reported.get("epochs")
    return Plan(
        text=settled,
        device=place.slot.device,
        gpu=hardware.gpu_name(place.slot.gpu),
        budget=str(budget),
        reason=reason,
        constants={name: value for name, value in now.items() if before.get(name) != value},
        setup_seconds=round(result.setup_seconds, 1),
        step_seconds=step,
        tokens_per_second=per_step / step if per_step else None,
        steps=steps,
        tokens=tokens,
        epochs=steps * read / result.reported["step"] if steps and read else None,
        peak_vram_mb=result.peak_vram_mb,
    )
