"""Compare our train.py with the original and a plain port of it, on the same rows and seeds.

    python benchmarks/train_core.py [--original FOLDER] [--plain] [--budget 15cpu] [--seeds 5] [--text 'GLOB']

FOLDER holds karpathy/autoresearch at 228791f (`git clone`, never part of this repository); benchmarks/original.py says
what of it is replaced. `--plain` is our own file with the original's constants. On a CPU all have the size of the CPU
profile. With `--text` the corpus is that text (on machines without a tokenizer package: as plain bytes).
"""

import argparse
import importlib.util
import math
import sys
import tempfile
from pathlib import Path
from statistics import fmean, stdev

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import cpu_base
import original

from autoresearch import hardware
from autoresearch.data.dataset import Dataset
from autoresearch.measure import facts
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.setup import plan, prepare
from autoresearch.source import constants

BUDGET = {"cpu": "15cpu", "cuda": "60s"}
SETTINGS = {"cpu": {"eval_rows": 512, "eval_batch": 32}, "cuda": {"eval_rows": 10240, "eval_batch": 16}}

# The original's configuration as constants of our train.py. These differences remain: QK-norm before RoPE, no NorMuon,
# weight decay with the square of the remaining time, value embeddings initialised as wide as the token embedding.
PLAIN: plan.Values = {
    "X0_INIT": 0.1,
    "ATTN_SCALE": 1.0,
    "VALUE_EMBED_FIRST": 1,
    "VALUE_EMBED_EVERY": 2,
    "VALUE_GATE_DIM": 32,
    "VALUE_GATE_MAX": 2.0,
    "SHORT_WINDOW": 0.5,
    "SOFTCAP": 15.0,
    "LOSS_TOKENS": 0,
    "EVEN_NEURONS": 0.0,
    "MATRIX_LR": 0.04,
    "RESIDUAL_LR": 0.005,
    "X0_LR": 0.5,
    "MATRIX_WEIGHT_DECAY": 0.2,
    "HEAD_WEIGHT_DECAY": 0.0,
    "EMBED_WEIGHT_DECAY": 0.0,
    "VALUE_WEIGHT_DECAY": 0.0,
    "ADAM_BETA2": 0.95,
    "MUON_MOMENTUM_END": 0.95,
    "MUON_MOMENTUM_STEPS": 300,
    "WARMDOWN": 0.5,
    "FINAL_LR": 0.0,
}
PLAIN_SIZE = {"cpu": (2, 64, 1024, 1024), "cuda": (8, 512, 2**19, 2**18)}


def corpus(device: str, text: str, cache: Path) -> Dataset:
    """Prepare a data set from text on this machine, as plain bytes without a tokenizer package."""
    vocab = None if importlib.util.find_spec("rustbpe") else 256
    return Dataset.open(prepare.prepare(f"files:{text}", vocab, None, device, cache=cache, progress=False))


def plain(text: str, device: str) -> str:
    """Return our train.py with the original's constants."""
    depth, dim, batch, micro = PLAIN_SIZE[device]
    adam = (768 / dim) ** 0.5  # the original scales the learning rates of Adam by this
    size = {"DEPTH": depth, "MODEL_DIM": dim, "BATCH_TOKENS": batch, "MICRO_TOKENS": micro}
    rates = {"EMBED_LR": 0.6 * adam, "HEAD_LR": 0.004 * adam}
    return constants.with_constants(text, PLAIN | size | rates)


def row(name: str, seed: int, result: Result, gpu: str | None) -> str:
    """Format one line of the table."""
    trial = result.as_json()
    mfu = facts.mfu_percent(trial, hardware.peak_tflops(gpu))
    speed = facts.trained_tokens(trial) / result.train_seconds if result.train_seconds else 0.0
    score = f"{result.val_bpb:.4f}" if result.val_bpb is not None else f"{result.outcome}: {result.reason}"
    cells = [
        *(name, seed, score, f"{result.reported.get('step', 0):.0f}", f"{speed:,.0f}"),
        *(f"{mfu:.1f}" if mfu else "-", f"{result.total_seconds - result.train_seconds:.1f}"),
        f"{result.peak_vram_mb:.0f}" if result.peak_vram_mb else "-",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def versions(options: argparse.Namespace, device: str) -> dict[str, str]:
    """Return the texts by name."""
    ours = cpu_base.tuned() if device == "cpu" else cpu_base.TRAIN.read_text()
    found = {"ours": ours}
    if options.original:
        found["original"] = original.version(options.original, device, original.SIZE[device])
    if options.plain:
        found["plain"] = plain(ours, device)
    return found


def summary(scores: dict[str, dict[int, float]]) -> None:
    """Print means, sigma, and the differences to ours, paired by seed."""
    print("\n| version | mean | sigma | ours less this |\n|---|---|---|---|")
    for name, values in scores.items():
        pairs = [(scores["ours"][seed], score) for seed, score in values.items() if seed in scores["ours"]]
        ahead = [a - b for a, b in pairs if name != "ours"]
        difference = f"{fmean(ahead):+.4f}" if ahead else ""
        if len(ahead) > 1:
            difference += f" +- {stdev(ahead) / len(ahead) ** 0.5:.4f}"
        sigma = f"{stdev(values.values()):.4f}" if len(values) > 1 else "-"
        print(f"| {name} | {fmean(values.values()) if values else math.nan:.4f} | {sigma} | {difference} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--original", type=Path, help="folder with the original's train.py")
    parser.add_argument("--plain", action="store_true", help="our file with the original's constants")
    parser.add_argument("--device", choices=list(BUDGET), default="cuda" if hardware.gpus() else "cpu")
    parser.add_argument("--budget", help="default 15cpu on a CPU, 60s on a card")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--text", help="glob of the corpus; default: the prepared default corpus")
    options = parser.parse_args()
    device = options.device
    cards = hardware.gpus() if device == "cuda" else []
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        data = corpus(device, options.text, cache) if options.text else Dataset.open(prepare.prepare(device=device))
        settings = Settings(
            budget=Budget.parse(options.budget or BUDGET[device]),
            device=device,
            gpu=cards[0] if cards else None,
            caches=cache / "compiled",
            **SETTINGS[device],
        )
        texts = versions(options, device)
        if options.original:
            how = "SDPA, float32, not compiled" if device == "cpu" else "attention of torch, compiled as it does"
            print(f"the original runs with our rows, clock and evaluation ({how}), its 11 untimed steps are none\n")
        print("| version | seed | val_bpb | steps | tokens/s | MFU % | seconds outside | peak MB |\n|" + "---|" * 8)
        scores: dict[str, dict[int, float]] = {name: {} for name in texts}
        for seed in range(options.seeds):
            for name, text in texts.items():
                result = CellReferee(settings, data).measure(text, seed)
                print(row(name, seed, result, hardware.gpu_name(settings.gpu)), flush=True)
                if result.val_bpb is None:
                    print(result.log[-3000:], file=sys.stderr)
                else:
                    scores[name][seed] = result.val_bpb
        summary(scores)


if __name__ == "__main__":
    main()
