"""Run corpus, base, score and one keep on a machine with torch, numpy and safetensors only.

    python benchmarks/gpu_night.py [--device cuda] [--budget 60s] [--text 'GLOB']

Prepares a corpus from text on this machine (plain bytes without a tokenizer package), measures the base and a crippled
base on three seeds each, and lets the judge decide. Git and the ledger are not used: `make run` tests those.
"""

import argparse
import importlib.util
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from autoresearch import hardware, judge
from autoresearch.data.dataset import Dataset
from autoresearch.measure import facts
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.sandbox import selftest
from autoresearch.sandbox.launch import CellSpec
from autoresearch.setup import plan, prepare
from autoresearch.source import constants

CRIPPLED = 0.05  # factor on MATRIX_LR of the crippled base


def corpus(device: str, text: str, cache: Path) -> Dataset:
    """Prepare a data set from text on this machine; print the time."""
    began = time.monotonic()
    vocab = None if importlib.util.find_spec("rustbpe") else 256
    data = Dataset.open(prepare.prepare(f"files:{text}", vocab, None, device, cache=cache, progress=False))
    train = data.meta["splits"]["train"]
    seconds = time.monotonic() - began
    size = f"{train['bytes'] / 1e6:.0f} MB, {train['tokens'] / 1e6:.0f}M tokens"
    print(f"corpus: {size}, vocabulary {data.vocab_size}, {seconds:.0f} s")
    return data


def settings(device: str, budget: str, cache: Path) -> Settings:
    """Return the settings of a session on this device."""
    cards = hardware.gpus() if device == "cuda" else []
    rows, batch = (10240, 16) if device == "cuda" else (128, 32)
    return Settings(
        Budget.parse(budget),
        device,
        gpu=cards[0] if cards else None,
        eval_rows=rows,
        eval_batch=batch,
        caches=cache / "c",
    )


def row(name: str, result: Result, gpu: str | None) -> str:
    """Format one line of the table."""
    trial = result.as_json()
    tokens, mfu = facts.trained_tokens(trial), facts.mfu_percent(trial, hardware.peak_tflops(gpu))
    share = f"{mfu:.1f}" if mfu else "-"
    d_rms = f"{result.audit['d_rms']:.2e}" if result.audit else "-"
    vram = f"{result.peak_vram_mb:.0f}" if result.peak_vram_mb else "-"
    score = f"{result.val_bpb:.4f}" if result.val_bpb is not None else f"{result.outcome}: {result.reason}"
    seconds = (result.setup_seconds, result.train_seconds, result.score_seconds, result.total_seconds)
    times = " | ".join(f"{each:.1f}" for each in seconds)
    steps = result.reported.get("step", 0)
    return f"| {name} | {score} | {times} | {steps:.0f} | {tokens / 1e6:.1f} | {share} | {vram} | {d_rms} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if hardware.gpus() else "cpu")
    parser.add_argument("--budget", default="60s")
    parser.add_argument("--text", default=f"{sysconfig.get_path('purelib')}/torch/**/*.py")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder)
        data = corpus(options.device, options.text, cache)
        chosen = settings(options.device, options.budget, cache)
        gpu = hardware.gpu_name(chosen.gpu)
        print(f"machine: {gpu or hardware.cpu_name()}, torch {hardware.version('torch')}, budget {options.budget}")
        held, library = sorted((data.root / "held").iterdir()), data.readable_library()
        found = selftest.inspect(held, CellSpec([], library=library, gpu=chosen.gpu is not None), data.weaknesses)
        print(found, *found.weaknesses, sep="\n")
        base = plan.fit_device(Path(__file__).resolve().parents[1].joinpath("train.py").read_text(), options.device)
        lr = {c.name: c.value for c in constants.constants(base)}["MATRIX_LR"]
        versions = {"crippled": constants.with_constants(base, {"MATRIX_LR": lr * CRIPPLED}), "base": base}
        columns = "val_bpb | setup s | train s | score s | total s | steps | M tokens | mfu % | MB | d_rms"
        print(f"| version, seed | {columns} |")
        print("|---|---|---|---|---|---|---|---|---|---|---|")
        scores: dict[str, list[float]] = {}
        for name, text in versions.items():
            for seed in (1, 2, 3):
                result = CellReferee(chosen, data).measure(text, seed, TrialPlan(keep_caches=not scores))
                print(row(f"{name}, {seed}", result, gpu), flush=True)
                scores.setdefault(name, []).append(result.val_bpb if result.val_bpb is not None else float("nan"))
        crippled, restored = ([judge.Draw(score, k) for k, score in enumerate(each)] for each in scores.values())
        print("judge:", judge.decide("default", restored, crippled, judge.noise([crippled, restored])))


if __name__ == "__main__":
    main()
