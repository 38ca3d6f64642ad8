"""Facts about a trial's training, as numbers and as lines for a brief.

What train.py reports about itself (steps, tokens, losses) is shown, and never decides anything. It may be any number,
and in old ledgers null.
"""

from collections.abc import Mapping
from typing import Any

from autoresearch.measure.clock import Budget
from autoresearch.text import plausible

MANY_EPOCHS = 4.0  # above it, another epoch teaches less than new text would

ResultJson = Mapping[str, Any]  # a Result as JSON


def reported(result: ResultJson, name: str) -> float:
    """Return a number that train.py reported; 0 if it reported none."""
    return plausible((result.get("reported") or {}).get(name)) or 0.0


def steps(result: ResultJson) -> float:
    """Return the steps that train.py reported; 0 if it reported none."""
    return reported(result, "step")


def seconds(result: ResultJson, part: str) -> float:
    """Return the seconds of wall-clock time of a part: `setup`, `train` or `score`."""
    return plausible(result.get(f"{part}_seconds")) or 0.0


def used(result: ResultJson, budget: Budget) -> float:
    """Return how much of the budget training used, in its unit, as the referee's clock read; for steps, seconds.

    Before version 0.7 the last point of the curve is the only reading.
    """
    if budget.unit == "steps":
        return seconds(result, "train")
    return plausible(result.get("used")) or max((at for at, _ in _steps_in_time(result)), default=0.0)


def ms_per_step(result: ResultJson) -> float | None:
    """Return the milliseconds of a step on the clock of the budget, between the first and the last point of the curve.

    Work between the start and the first point is left out. None if the curve has no two points with steps.
    """
    points = _steps_in_time(result)
    if len(points) < 2 or (more := points[-1][1] - points[0][1]) <= 0:
        return None
    return max(0.0, 1000 * (points[-1][0] - points[0][0]) / more)


def _steps_in_time(result: ResultJson) -> list[tuple[float, float]]:
    """Return (time on the referee's clock, steps so far) for each point of the curve that has both."""
    points = [(plausible(point.get("seconds")), plausible(point.get("step"))) for point in result.get("curve") or []]
    return [(at, step) for at, step in points if at is not None and step is not None]


def trained_tokens(result: ResultJson) -> float:
    """Return the tokens that a trial trained on; 0 if train.py does not report them."""
    return steps(result) * reported(result, "tokens_per_step")


def mfu_percent(result: ResultJson, peak_tflops: float | None) -> float | None:
    """Return model FLOP/s as a share of the card's peak; None if they are not known."""
    flops, taken = reported(result, "flops_per_token"), seconds(result, "train")
    if not peak_tflops or not taken or not flops:
        return None
    return 100 * flops * trained_tokens(result) / taken / (peak_tflops * 1e12)


def repetition_warning(result: ResultJson) -> str | None:
    """Return a warning if a trial is known to have read its training data more than four times."""
    epochs = reported(result, "epochs")
    if epochs <= MANY_EPOCHS:
        return None
    return f"the training data was read {epochs:.1f} times in one budget: more text (--source) would teach more"


def describe_training(result: ResultJson, peak_tflops: float | None, memory_mb: float | None) -> list[str]:
    """Describe speed, size, memory and times."""
    lines = [describe_speed(result, peak_tflops), _describe_size(result), _describe_memory(result, memory_mb)]
    return [line for line in [*lines, _describe_times(result)] if line]


def describe_speed(result: ResultJson, peak_tflops: float | None) -> str:
    """Describe steps, tokens and MFU, if they are known."""
    tokens, taken = trained_tokens(result), seconds(result, "train")
    parts = [f"{count:.0f} steps"] if (count := steps(result)) else []
    if tokens and taken:
        parts.append(f"{tokens / 1e6:.3g}M tokens, {tokens / taken:,.0f} a second")
    if (mfu := mfu_percent(result, peak_tflops)) is not None:
        parts.append(f"MFU {mfu:.1f} %")
    if (epochs := reported(result, "epochs")) > 1:
        parts.append(f"{epochs:.1f} epochs of the data")
    return ", ".join(parts)


def _describe_size(result: ResultJson) -> str:
    parameters = plausible(result.get("parameters"))
    return f"{parameters / 1e6:.3g}M parameters in the checkpoint" if parameters else ""


def _describe_memory(result: ResultJson, memory_mb: float | None) -> str:
    peak = plausible(result.get("peak_vram_mb"))
    if not peak:
        return ""
    return f"GPU memory: {peak / 1024:.1f} GiB at the peak" + (f" of {memory_mb / 1024:.0f}" if memory_mb else "")


def _describe_times(result: ResultJson) -> str:
    parts = {"set up": "setup", "train": "train", "score": "score"}
    return "seconds to " + ", ".join(f"{name} {seconds(result, part):.0f}" for name, part in parts.items())
