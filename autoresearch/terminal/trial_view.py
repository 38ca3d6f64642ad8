"""Format one trial like the summary that the original prints at the end of a run."""

from autoresearch.hardware import peak_tflops
from autoresearch.measure.facts import mfu_percent, trained_tokens
from autoresearch.measure.result import Result
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.report.format import name_score


def summary(result: Result, gpu: str | None, metric: Metric = VAL_BPB) -> dict[str, str]:
    """Return names and values of a trial on the card `gpu`, some as train.py reports them."""
    reported, facts = result.reported, result.as_json()
    mfu = mfu_percent(facts, peak_tflops(gpu))
    lines = {
        "score": "-" if result.val_bpb is None else metric.exact_score(result.val_bpb),
        "training_seconds": f"{result.train_seconds:.1f}",
        "total_seconds": f"{result.total_seconds:.1f}",
        "peak_vram_mb": f"{result.peak_vram_mb or 0:.1f}",
        "mfu_percent": "-" if mfu is None else f"{mfu:.2f}",
        "total_tokens_M": f"{trained_tokens(facts) / 1e6:.2f}",
        "num_steps": f"{reported.get('step', 0):.0f}",
        "num_params_M": "-" if result.parameters is None else f"{result.parameters / 1e6:.2f}",
        "outcome": result.outcome,
        "grade": result.grade,
    }
    lines |= {} if result.outcome == "ok" else {"reason": result.reason}
    return name_score(lines, metric)
