"""Test a GPU inside the cell: cuInit, training, torch.compile, scoring, free memory.

    python benchmarks/gpu_cell.py [--device cuda]

Needs torch, numpy and safetensors only. On a CPU the same steps run on a small model.
"""

import argparse
import sys
import sysconfig
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from autoresearch import hardware
from autoresearch.data.dataset import Dataset
from autoresearch.hardware import GpuMeter
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.sandbox import selftest
from autoresearch.sandbox.launch import CellSpec
from autoresearch.setup import plan, prepare

PROBE = """
import ctypes
import torch

def train(trial):
    trial.log(cuinit=ctypes.CDLL("libcuda.so.1").cuInit(0) if trial.device == "cuda" else 0)
    x = torch.randn(256, 256, device=trial.device)
    trial.log(matmul=float((x @ x).isfinite().all()))
    trial.log(compiled=float(torch.compile(lambda x: torch.relu(x) * 2)(x).isfinite().all()))
    trial.start()
    trial.save({"logits": torch.zeros(trial.vocab_size)}, {})

def load(state, config, device):
    logits = state["logits"].to(device)
    return lambda tokens: logits.expand(*tokens.shape, -1)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cuda" if hardware.gpus() else "cpu")
    device = parser.parse_args().device
    cards = hardware.gpus() if device == "cuda" else []
    gpu = cards[0] if cards else None
    rows, batch, steps = (10240, 16, "60steps") if device == "cuda" else (128, 32, "5steps")
    meter = GpuMeter(gpu)
    with tempfile.TemporaryDirectory() as folder:
        text = f"files:{sysconfig.get_path('purelib')}/torch/**/*.py"
        data = Dataset.open(prepare.prepare(text, 256, None, device, cache=Path(folder), progress=False))
        versions = f"driver {hardware.driver()}, torch {hardware.version('torch')}"
        print(f"machine: {hardware.gpu_name(gpu) or hardware.cpu_name()}, {versions}")
        held, library = sorted((data.root / "held").iterdir()), data.readable_library()
        found = selftest.inspect(held, CellSpec([], library=library, gpu=gpu is not None), data.weaknesses)
        print(found, *found.weaknesses, sep="\n")
        settings = Settings(
            Budget.parse(steps), device, gpu=gpu, eval_rows=rows, eval_batch=batch, caches=Path(folder) / "c"
        )
        base = plan.fit_device(Path(__file__).resolve().parents[1].joinpath("train.py").read_text(), device)
        before = meter.used_mb()
        for name, version in (("probe", PROBE), ("train.py, cold cache", base), ("train.py, warm cache", base)):
            result = CellReferee(settings, data).measure(version, 1, TrialPlan(keep_caches=name.endswith("cold cache")))
            tokens = min(rows, len(data.rows("val"))) * data.seq_len / 1e6
            print(f"\n{name}: {result.outcome} {result.reason} {result.reported}")
            scoring = f"claim and audit of {tokens:.1f}M tokens {result.score_seconds:.1f} s"
            print(f"setup {result.setup_seconds:.1f} s; {scoring}; audit {result.audit}")
            memory = f"{before} MB before, {result.peak_vram_mb} MB at most, {meter.used_mb()} MB after"
            print(f"card: {memory}; layers {result.layers}")
            if result.outcome != "ok":
                print(result.log[-3000:])


if __name__ == "__main__":
    main()
