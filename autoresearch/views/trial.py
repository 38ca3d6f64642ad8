"""One trial as the lines that the original prints at the end of a run."""

from autoresearch.measure.machine import peak_tflops
from autoresearch.measure.result import Result


def summary(result: Result, gpu: str | None) -> dict[str, str]:
    """`name: value` of a trial on the card called `gpu`; what train.py says of itself is only shown, never used."""
    said = result.reported
    tokens = said.get("step", 0.0) * said.get("tokens_per_step", 0.0)
    lines = {
        "val_bpb": "-" if result.val_bpb is None else f"{result.val_bpb:.6f}",
        "training_seconds": f"{result.train_seconds:.1f}",
        "total_seconds": f"{result.total_seconds:.1f}",
        "peak_vram_mb": f"{result.peak_vram_mb or 0:.1f}",
        "mfu_percent": _mfu(result, tokens, peak_tflops(gpu)),
        "total_tokens_M": f"{tokens / 1e6:.2f}",
        "num_steps": f"{said.get('step', 0):.0f}",
        "num_params_M": f"{said.get('num_params', 0) / 1e6:.2f}",
        "outcome": result.outcome,
        "grade": result.grade,
    }
    return lines if result.outcome == "ok" else {**lines, "reason": result.reason}


def _mfu(result: Result, tokens: float, peak: float | None) -> str:
    """Model FLOP/s as a share of what the card can do; `-` where that is not known."""
    if not peak or not result.train_seconds or "flops_per_token" not in result.reported:
        return "-"
    return f"{100 * result.reported['flops_per_token'] * tokens / result.train_seconds / (peak * 1e12):.2f}"
