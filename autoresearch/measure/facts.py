"""Facts about a trial's training, as numbers and as lines for a brief.

What train.py reports about itself (steps, tokens, losses) is shown, and never decides anything. It may be any number,
and in old ledgers null.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from autoresearch.text import plausible

CURVE_PARTS = 10
MANY_EPOCHS = 4.0  # above it, another epoch teaches less than new text would

ResultJson = Mapping[str, Any]  # a Result as JSON


def reported(result: ResultJson, name: str) -> float:
    """Return a number that train.py reported; 0 if it reported none."""
    return plausible((result.get("reported") or {}).get(name)) or 0.0


def trained_tokens(result: ResultJson) -> float:
    """Return the tokens that a trial trained on; 0 if train.py does not report them."""
    return reported(result, "step") * reported(result, "tokens_per_step")


def mfu_percent(result: ResultJson, peak_tflops: float | None) -> float | None:
    """Return model FLOP/s as a share of the card's peak; None if they are not known."""
    flops, seconds = reported(result, "flops_per_token"), plausible(result.get("train_seconds"))
    if not peak_tflops or not seconds or not flops:
        return None
    return 100 * flops * trained_tokens(result) / seconds / (peak_tflops * 1e12)


def repetition_warning(result: ResultJson) -> str | None:
    """Return a warning if a trial is known to have read its training data more than four times."""
    epochs = reported(result, "epochs")
    if epochs <= MANY_EPOCHS:
        return None
    return f"the training data was read {epochs:.1f} times in one budget: more text (--source) would teach more"


def describe_training(result: ResultJson, peak_tflops: float | None, memory_mb: float | None) -> list[str]:
    """Describe speed, size, memory, times, and the curve."""
    lines = [describe_speed(result, peak_tflops), _describe_size(result), _describe_memory(result, memory_mb)]
    lines += [_describe_times(result), _describe_curve(result.get("curve") or [])]
    return [line for line in lines if line]


def describe_speed(result: ResultJson, peak_tflops: float | None) -> str:
    """Describe steps, tokens and MFU, if they are known."""
    tokens, seconds = trained_tokens(result), plausible(result.get("train_seconds"))
    parts = [f"{steps:.0f} steps"] if (steps := reported(result, "step")) else []
    if tokens and seconds:
        parts.append(f"{tokens / 1e6:.3g}M tokens, {tokens / seconds:,.0f} a second")
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
    names = {"set up": "setup_seconds", "train": "train_seconds", "score": "score_seconds"}
    return "seconds to " + ", ".join(f"{name} {plausible(result.get(key)) or 0.0:.0f}" for name, key in names.items())


def _describe_curve(points: Sequence[ResultJson]) -> str:
    losses = [loss for point in points if (loss := plausible(point.get("loss"))) is not None]
    if len(losses) < CURVE_PARTS:
        return ""
    bounds = [k * len(losses) // CURVE_PARTS for k in range(CURVE_PARTS + 1)]
    tenths = [fmean(losses[bounds[k] : bounds[k + 1]]) for k in range(CURVE_PARTS)]
    last = tenths[-1] - tenths[-2]
    still = "still falling at the end" if last < 0 else "no longer falling at the end"
    return f"training loss by tenths: {' '.join(f'{loss:.3f}' for loss in tenths)}; {still} ({last:+.3f})"
