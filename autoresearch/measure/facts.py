"""What a trial's result says about its training, in numbers and in a few lines for a brief.

What train.py says of itself (steps, tokens, losses) is shown, and never decides anything.
"""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

POINTS = 10  # of the curve
MANY_EPOCHS = 4.0  # readings of the training data from which another one teaches less than new text would


def trained_tokens(result: Mapping[str, Any]) -> float:
    """Tokens that a trial trained on; 0 where train.py does not say."""
    said = result["reported"]
    return float((said.get("step") or 0.0) * (said.get("tokens_per_step") or 0.0))


def mfu_percent(result: Mapping[str, Any], peak_tflops: float | None) -> float | None:
    """Model FLOP/s as a share of what the card can do; None where that is not known."""
    flops = result["reported"].get("flops_per_token")
    if not peak_tflops or not result["train_seconds"] or not flops:
        return None
    return 100 * float(flops) * trained_tokens(result) / float(result["train_seconds"]) / (peak_tflops * 1e12)


def repeats(result: Mapping[str, Any]) -> str | None:
    """A warning where a trial read its training data more than four times; None where it did not, or does not say."""
    epochs = result["reported"].get("epochs") or 0.0
    if epochs <= MANY_EPOCHS:
        return None
    return f"the training data was read {epochs:.1f} times in one budget: more text (--source) would teach more"


def training(result: Mapping[str, Any], peak_tflops: float | None, memory_mb: float | None) -> list[str]:
    """How the training went: speed, size, memory, where the time goes, the curve and whether it still falls."""
    lines = [speed(result, peak_tflops), _memory(result, memory_mb), _times(result), _curve(result["curve"])]
    return [line for line in lines if line]


def speed(result: Mapping[str, Any], peak_tflops: float | None) -> str:
    """Steps, tokens, parameters and MFU, as far as they are known."""
    said, tokens, seconds = result["reported"], trained_tokens(result), result["train_seconds"] or 0.0
    parts = [f"{said['step']:.0f} steps"] if said.get("step") else []
    if tokens and seconds:
        parts.append(f"{tokens / 1e6:.3g}M tokens, {tokens / seconds:,.0f} a second")
    if said.get("num_params"):
        parts.append(f"{said['num_params'] / 1e6:.3g}M parameters")
    if (mfu := mfu_percent(result, peak_tflops)) is not None:
        parts.append(f"MFU {mfu:.1f} %")
    if said.get("epochs", 0.0) > 1:
        parts.append(f"{said['epochs']:.1f} epochs of the data")
    return ", ".join(parts)


def _memory(result: Mapping[str, Any], memory_mb: float | None) -> str:
    peak = result.get("peak_vram_mb")
    if not peak:
        return ""
    return f"GPU memory: {peak / 1024:.1f} GiB at the peak" + (f" of {memory_mb / 1024:.0f}" if memory_mb else "")


def _times(result: Mapping[str, Any]) -> str:
    names = {"set up": "setup_seconds", "train": "train_seconds", "score": "score_seconds"}
    return "seconds to " + ", ".join(f"{name} {result.get(key) or 0.0:.0f}" for name, key in names.items())


def _curve(points: Sequence[Mapping[str, Any]]) -> str:
    losses = [point["loss"] for point in points if point.get("loss") is not None]
    if len(losses) < POINTS:
        return ""
    tenths = [fmean(losses[k * len(losses) // POINTS : (k + 1) * len(losses) // POINTS]) for k in range(POINTS)]
    last = tenths[-1] - tenths[-2]
    still = "still falling at the end" if last < 0 else "no longer falling at the end"
    return f"training loss by tenths: {' '.join(f'{loss:.3f}' for loss in tenths)}; {still} ({last:+.3f})"
