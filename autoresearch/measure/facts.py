"""Facts about a trial's training, as numbers and as lines for a brief.

What train.py reports about itself (steps, tokens, losses) is shown, and never decides anything.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

CURVE_PARTS = 10
MANY_EPOCHS = 4.0  # above it, another epoch teaches less than new text would

ResultJson = Mapping[str, Any]  # a Result as JSON


def trained_tokens(result: ResultJson) -> float:
    """Return the tokens that a trial trained on; 0 if train.py does not report them."""
    reported = result["reported"]
    return float((reported.get("step") or 0.0) * (reported.get("tokens_per_step") or 0.0))


def mfu_percent(result: ResultJson, peak_tflops: float | None) -> float | None:
    """Return model FLOP/s as a share of the card's peak; None if they are not known."""
    flops = result["reported"].get("flops_per_token")
    if not peak_tflops or not result["train_seconds"] or not flops:
        return None
    return 100 * float(flops) * trained_tokens(result) / float(result["train_seconds"]) / (peak_tflops * 1e12)


def repetition_warning(result: ResultJson) -> str | None:
    """Return a warning if a trial is known to have read its training data more than four times."""
    epochs = result["reported"].get("epochs") or 0.0
    if epochs <= MANY_EPOCHS:
        return None
    return f"the training data was read {epochs:.1f} times in one budget: more text (--source) would teach more"


def describe_training(result: ResultJson, peak_tflops: float | None, memory_mb: float | None) -> list[str]:
    """Describe speed, size, memory, times, and the curve."""
    lines = [describe_speed(result, peak_tflops), _describe_memory(result, memory_mb)]
    lines += [_describe_times(result), _describe_curve(result["curve"])]
    return [line for line in lines if line]


def describe_speed(result: ResultJson, peak_tflops: float | None) -> str:
    """Describe steps, tokens, parameters and MFU, if they are known."""
    reported, tokens, seconds = result["reported"], trained_tokens(result), result["train_seconds"] or 0.0
    parts = [f"{reported['step']:.0f} steps"] if reported.get("step") else []
    if tokens and seconds:
        parts.append(f"{tokens / 1e6:.3g}M tokens, {tokens / seconds:,.0f} a second")
    if reported.get("num_params"):
        parts.append(f"{reported['num_params'] / 1e6:.3g}M parameters")
    if (mfu := mfu_percent(result, peak_tflops)) is not None:
        parts.append(f"MFU {mfu:.1f} %")
    if reported.get("epochs", 0.0) > 1:
        parts.append(f"{reported['epochs']:.1f} epochs of the data")
    return ", ".join(parts)


def _describe_memory(result: ResultJson, memory_mb: float | None) -> str:
    peak = result.get("peak_vram_mb")
    if not peak:
        return ""
    return f"GPU memory: {peak / 1024:.1f} GiB at the peak" + (f" of {memory_mb / 1024:.0f}" if memory_mb else "")


def _describe_times(result: ResultJson) -> str:
    names = {"set up": "setup_seconds", "train": "train_seconds", "score": "score_seconds"}
    return "seconds to " + ", ".join(f"{name} {result.get(key) or 0.0:.0f}" for name, key in names.items())


def _describe_curve(points: Sequence[ResultJson]) -> str:
    losses = [point["loss"] for point in points if point.get("loss") is not None]
    if len(losses) < CURVE_PARTS:
        return ""
    bounds = [k * len(losses) // CURVE_PARTS for k in range(CURVE_PARTS + 1)]
    tenths = [fmean(losses[bounds[k] : bounds[k + 1]]) for k in range(CURVE_PARTS)]
    last = tenths[-1] - tenths[-2]
    still = "still falling at the end" if last < 0 else "no longer falling at the end"
    return f"training loss by tenths: {' '.join(f'{loss:.3f}' for loss in tenths)}; {still} ({last:+.3f})"
