"""Measure on a rented card, in under nine minutes, what cannot be known without one.

    python benchmarks/first_card.py pack [--source climbmix]      at home: data set and wheels into runs/first-card
    python benchmarks/first_card.py [--out FOLDER] [--within 540] on the card: run the phases that are not done yet
    python benchmarks/first_card.py table --out FOLDER            what is measured so far
    python benchmarks/first_card.py --rehearse                    the same in small, on a CPU

On the card it needs torch, numpy, safetensors and nvidia-ml-py. docs/benchmarks.md has the steps.
"""

import argparse
import importlib.util
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import on_card
import pack
import phases
from phases import Bench, Phase, Plan

from autoresearch import hardware
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.files import measure_size
from autoresearch.hardware import GpuMeter
from autoresearch.measure.card_probe import LAYERS
from autoresearch.measure.cell_process import Harness, cell_spec
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.score import Evaluator
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.sandbox import selftest
from autoresearch.sandbox.cell import Cell, reopen
from autoresearch.setup import plan
from autoresearch.source import constants

if TYPE_CHECKING:
    from card_kernels import Kernels

PACKAGES = ("torch", "numpy", "safetensors")
STEPS = {"cuda": "60steps", "cpu": "5steps"}
BUDGET = {"cuda": "60s", "cpu": "5s"}
PROBE_TIMEOUT_S = 25.0
BUSY_TIMEOUT_S = 25.0

CUINIT = """
import ctypes, time
began = time.monotonic()
code = ctypes.CDLL("libcuda.so.1").cuInit(0)
print(f"cuInit returned {code} after {time.monotonic() - began:.2f} s")
raise SystemExit(code != 0)
"""
MATMUL = """
import sys, torch
x = torch.randn(1024, 1024, device=sys.argv[1])
y = torch.compile(lambda x: torch.relu(x @ x) * 2)(x) if sys.argv[1] == "cuda" else x @ x
print("finite:", bool(y.isfinite().all()))
"""
BUSY = """
import sys, torch
size = 8192 if sys.argv[1] == "cuda" else 256
x = torch.randn(size, size, device=sys.argv[1])
left = torch.full((size * 4096,), 0x5EC2E7, dtype=torch.int32, device=sys.argv[1])
(x @ x).sum().item()
print("busy", flush=True)
while True:
    x = (x @ x).clamp(-1, 1)
"""
LOOK = """
import sys, torch
size, blocks = (1 << 28, torch.cuda.mem_get_info()[0] // 2**30 - 2) if sys.argv[1] == "cuda" else (1 << 20, 1)
held = [torch.empty(size, dtype=torch.int32, device=sys.argv[1]) for _ in range(blocks)]
found = sum(int((block == 0x5EC2E7).sum()) for block in held)
print(f"{found} of {size * blocks} numbers are those of the process before")
raise SystemExit(found > 0)
"""
HUNGRY = """
import torch

def train(trial):
    size = 1 << 30 if trial.device == "cuda" else 1 << 45
    held = [torch.empty(size, dtype=torch.uint8, device=trial.device) for _ in range(1000)]
"""
TIMED_SAVE = """

_train = train

def train(trial):
    import time

    save = trial.save

    def timed(state, config):
        began = time.monotonic()
        if trial.device == "cuda":
            torch.cuda.synchronize()
        queued = time.monotonic() - began
        save(state, config)
        time.sleep(0.02)
        trial.log(queued_seconds=queued, save_seconds=time.monotonic() - began - queued - 0.02)

    trial.save = timed
    _train(trial)
"""
EAGER_LOAD = """

_load = load

def load(state, config, device):
    torch.compiler.set_stance("force_eager")
    return _load(state, config, device)
"""


def see_machine(bench: Bench) -> None:
    """Note what kernel, driver and compilers are there, and initialise CUDA outside a cell."""
    versions = {name: hardware.version(name) or "missing" for name in (*PACKAGES, "triton", "nvidia-ml-py")}
    bench.note("versions", {"python": platform.python_version(), **versions, "CUDA": hardware.torch_cuda()})
    bench.note("machine", f"{hardware.cpu_name()}, {len(os.sched_getaffinity(0))} cores")
    bench.note("memory GB", hardware.memory_bytes() / 1e9)
    bench.note("kernel", f"{platform.release()} {platform.version()}")
    bench.note("security modules", _read("/sys/kernel/security/lsm"))
    bench.note("user", os.geteuid())
    bench.note("gcc", shutil.which("gcc") or shutil.which("cc") or "none")
    bench.note("Python.h", Path(sysconfig.get_path("include"), "Python.h").exists())
    origin = importlib.util.find_spec("torch").origin
    bench.note("torch has bytecode", Path(importlib.util.cache_from_source(origin)).exists())
    bench.note("free in /dev/shm GB", shutil.disk_usage("/dev/shm").free / 1e9)
    names = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "CUDA_HOME")
    bench.note("environment", {name: os.environ.get(name) for name in names})
    with bench.attempt("libcuda"):
        done = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=False)
        listed = [line.split("=>")[-1].strip() for line in done.stdout.splitlines() if "libcuda.so.1" in line]
        bench.note("libcuda by ldconfig", listed)
        bench.note("folders of the driver", sorted(map(str, Path("/usr/local").glob("nvidia*"))))
    bench.note("devices", _devices())
    began = time.monotonic()
    with bench.attempt("import torch"):
        subprocess.run([sys.executable, "-c", "import torch"], timeout=60, check=True)
        bench.note("import torch s", time.monotonic() - began)
    if bench.options.device == "cpu":
        return
    with bench.attempt("CUDA outside a cell"):
        done = subprocess.run([sys.executable, "-c", CUINIT], capture_output=True, text=True, timeout=20, check=False)
        bench.note("CUDA outside a cell", (done.stdout or done.stderr).strip())
        bench.note("devices after it", _devices())
    gpu = on_card.require_card()
    bench.note("card", f"{hardware.gpu_name(gpu)}, driver {hardware.driver()} for CUDA {hardware.driver_cuda()}")
    with bench.attempt("card memory"):
        bench.note("card memory", hardware.gpu_load(gpu))
    with bench.attempt("attention wheels"):
        wheels = ("flash_attn_interface", "flash_attn", "flash_attn_3")
        bench.note("attention wheels", {name: importlib.util.find_spec(name) is not None for name in wheels})


def try_layers(bench: Bench) -> None:
    """Use the card in a cell with all layers; if that fails, with one layer off at a time, and name the culprit."""
    data, settings = _data(bench), _settings(bench, "1steps")
    with bench.attempt("self-attack"):
        held, spec = sorted((data.root / "held").iterdir()), cell_spec(settings, data)
        found = selftest.inspect(held, spec, data.weaknesses)
        bench.note("self-attack", [str(found), *found.weaknesses])
    probes = {"cuInit": CUINIT, "matmul": MATMUL} if settings.device == "cuda" else {"matmul": MATMUL}
    failed = [name for name, code in probes.items() if not _probe(bench, name, code, settings, data)]
    if not failed:
        return
    without = {layer: _probe(bench, failed[0], probes[failed[0]], settings, data, {layer}) for layer in LAYERS}
    culprits = [layer for layer, works in without.items() if works]
    if not culprits and _probe(bench, failed[0], probes[failed[0]], settings, data, set(LAYERS)):
        culprits = ["several at once"]
    bench.note("culprit", culprits or "none of the layers: it fails without all of them too")
    raise UserError(f"{failed[0]} fails in a cell with all layers; works without: {', '.join(culprits) or '-'}")


def time_kernels(bench: Bench) -> None:
    """Time kernels, blocks and a step at the shapes of train.py, outside a cell."""
    _kernels(bench).run()


def time_plain(bench: Bench) -> None:
    """Time what cards without fast attention have."""
    _kernels(bench).plain()


def measure_cold(bench: Bench) -> None:
    """Measure sixty steps without a compile cache, and keep the cache."""
    data, settings = _data(bench), _settings(bench, STEPS[bench.options.device])
    base = _base(bench, settings, data)
    shutil.rmtree(settings.caches or "", ignore_errors=True)
    bench.note("planned MB", _planned_mb(base, data))
    result = CellReferee(settings, data).measure(base, 1, TrialPlan(keep_caches=True))
    bench.note("cache kept MB", measure_size(settings.caches) / 2**20 if settings.caches.exists() else None)
    on_card.note_result(bench, result, settings)


def measure_warm(bench: Bench) -> None:
    """Measure sixty steps with the cache that is there, then score its checkpoint without compiling."""
    data, settings = _data(bench), _settings(bench, STEPS[bench.options.device])
    base, kept = _base(bench, settings, data), list[int]()
    bench.note("cache", "warm" if settings.caches.exists() else "cold: the phase `cold` left none")
    meter = GpuMeter(settings.gpu)
    before = meter.used_mb()
    trial = TrialPlan(keep_checkpoint=lambda fd: kept.append(reopen(fd)))
    result = CellReferee(settings, data).measure(base, 1, trial)
    bench.note("s until the card was clean", on_card.wait_until_clean(meter, before))
    on_card.note_result(bench, result, settings)
    with bench.attempt("scored without compiling"):
        began = time.monotonic()
        evaluator = Evaluator(base + EAGER_LOAD, kept[0], Harness(settings, data))
        score = evaluator.score("val")
        bench.note("scored without compiling s", time.monotonic() - began)
        bench.note("it differs by", score.bpb - (result.val_bpb or 0.0))


def measure_budget(bench: Bench) -> None:
    """Measure a trial with a budget in seconds: speed, the save, and the card after the bell."""
    data, settings = _data(bench), _settings(bench, BUDGET[bench.options.device])
    base, meter = _base(bench, settings, data) + TIMED_SAVE, GpuMeter(settings.gpu)
    before = meter.used_mb()
    after: list[float | None] = []

    def watch(progress: object) -> None:
        if getattr(progress, "stage", "") == "score" and not after:
            after.append(on_card.wait_until_clean(meter, before))

    result = CellReferee(settings, data).measure(base, 2, TrialPlan(watch=watch))
    for name in ("queued_seconds", "save_seconds"):
        bench.note(name.replace("_", " "), result.reported.get(name))
    bench.note("reserve s", settings.budget.reserve)
    bench.note("s from the bell until the card was clean", after[0] if after else None)
    bench.note("last points", result.curve[-3:])
    on_card.note_result(bench, result, settings)


def break_things(bench: Bench) -> None:
    """Run out of memory in a trial, and kill a busy cell.

    Note the outcome, the seconds until the card is clean, and whether the next cell finds what the killed one left.
    """
    data, settings = _data(bench), _settings(bench, "1steps")
    meter = GpuMeter(settings.gpu)
    before = meter.used_mb()
    result = CellReferee(settings, data).measure(HUNGRY, 1)
    bench.note("out of memory", f"{result.outcome}: {result.reason}")
    bench.note("s until the card was clean after it", on_card.wait_until_clean(meter, before))
    with bench.attempt("kill of a busy cell"):
        _kill_busy_cell(bench, settings, data, meter, before)
    _probe(bench, "memory of the process before", LOOK, settings, data)
    if result.outcome != "oom":
        raise UserError(f"a trial that ran out of memory is {result.outcome}, not oom: {result.reason}")


def _kill_busy_cell(bench: Bench, settings: Settings, data: Dataset, meter: GpuMeter, before: float | None) -> None:
    """Kill a cell that computes and holds memory; note when it is dead, and when the card is clean."""
    program = [sys.executable, "-I", "-c", BUSY, settings.device]
    with Cell.start(replace(cell_spec(settings, data), program=program)) as cell:
        _wait_for(cell, "busy", BUSY_TIMEOUT_S * bench.options.scale)
        bench.note("MB of a busy cell", meter.used_mb())
        began = time.monotonic()
        os.kill(cell.pid, signal.SIGKILL)
        bench.note("s until the killed cell was dead", cell.kill())
        clean = on_card.wait_until_clean(meter, before)
        bench.note("s until the card was clean after the kill", None if clean is None else time.monotonic() - began)


PLAN = Plan(
    Path(__file__).resolve(),
    (
        Phase("machine", 30, "kernel, driver, compilers; CUDA outside a cell", see_machine),
        Phase("layers", 45, "CUDA in a cell; the layer that forbids it", try_layers),
        Phase("kernels", 95, "attention, blocks, loss, optimiser, one graph, profile", time_kernels),
        Phase("cold", 110, "60 steps and a score, without a compile cache", measure_cold),
        Phase("warm", 75, "the same with the cache; scoring without compiling", measure_warm),
        Phase("budget", 115, "a trial of 60 s: speed, save, the card after the bell", measure_budget),
        Phase("faults", 40, "out of memory; SIGKILL; how soon the card is clean", break_things),
        Phase("plain", 25, "masked SDPA in bfloat16 and float32, for older cards", time_plain),
    ),
)  # 535 s


def _kernels(bench: Bench) -> "Kernels":
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(bench.options.work / "kernels"))
    import card_kernels

    data, settings = _data(bench), _settings(bench, "1steps")
    base = _base(bench, settings, data)
    return card_kernels.Kernels(bench, base, settings.device, data.vocab_size, data.seq_len)


def _probe(bench: Bench, name: str, code: str, settings: Settings, data: Dataset, off: set[str] | None = None) -> bool:
    """Run a small program in a cell, note how it ended, and return whether it worked."""
    layers = frozenset(off or ())
    label = f"{name} in a cell" + (f" without {', '.join(sorted(layers))}" if layers else "")
    program = [sys.executable, "-I", "-c", code, settings.device]
    try:
        with Cell.start(replace(cell_spec(settings, data), program=program, off=layers)) as cell:
            began = time.monotonic()
            while cell.is_running() and time.monotonic() - began < PROBE_TIMEOUT_S * bench.options.scale:
                time.sleep(0.02)
            status, log = cell.exit_status(), cell.log().strip()
    except Exception as error:  # without a layer a cell may not start at all
        bench.note(label, f"failed: {phases.describe(error)}")
        return False
    last = (log.splitlines() or [""])[-1]
    bench.note(label, f"exit {status} after {time.monotonic() - began:.1f} s: {last}")
    return status == 0


def _wait_for(cell: Cell, word: str, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while word not in cell.log():
        if not cell.is_running() or time.monotonic() > deadline:
            raise UserError(f"the busy cell did not start: {cell.log().strip()[-300:]}")
        time.sleep(0.02)


def _data(bench: Bench) -> Dataset:
    return on_card.open_data(bench.options.pack)


def _settings(bench: Bench, budget: str) -> Settings:
    return on_card.make_settings(bench.options.device, budget, bench.options.work / "caches")


def _base(bench: Bench, settings: Settings, data: Dataset) -> str:
    return on_card.fit_base(bench.options.train.read_text(), settings, data)


def _planned_mb(base: str, data: Dataset) -> float | None:
    """Return the memory that the plan expects of a base; None if it has other constants."""
    named = {constant.name: constant.value for constant in constants.constants(base)}
    names = ("DEPTH", "MODEL_DIM", "BATCH_TOKENS", "MICRO_TOKENS", "LOSS_TOKENS")
    if not named.keys() >= set(names):
        return None
    sizes = (int(named[name]) for name in names)
    return plan.Shape(*sizes).training_bytes(data.vocab_size) / 2**20


def _devices() -> list[str]:
    return sorted(map(str, [*Path("/dev").glob("nvidia*"), *Path("/dev/nvidia-caps").glob("*")]))


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        return error.strerror or "?"


def make_pack(options: argparse.Namespace) -> None:
    """Write what travels: a data set, the original's train.py, and wheels."""
    from autoresearch.setup import prepare

    root = prepare.prepare(options.source, options.vocab_size, options.seq_len, "cuda", shards=options.shards)
    options.pack.mkdir(parents=True, exist_ok=True)
    data = pack.cut(Dataset.open(root), options.pack / "data")
    counts = data.meta["splits"]
    tokens, rows = counts["train"]["tokens"] / 1e6, counts["val"]["rows"]
    size = f"{measure_size(data.root) / 1e6:.1f} MB"
    print(f"data: {tokens:.1f}M training tokens, {rows} validation rows, {size}, in {data.root}")
    if counts["train"]["tokens"] < pack.TRAIN_TOKENS or rows < pack.VAL_ROWS:
        print(f"the source is small: {pack.TRAIN_TOKENS / 1e6:.0f}M tokens and {pack.VAL_ROWS} rows are wanted")
    if options.original is not None:
        (options.pack / "original").mkdir(exist_ok=True)
        shutil.copyfile(options.original / "train.py", options.pack / "original" / "train.py")
    reason = pack.download_wheels(options.pack / "wheels", options.python)
    print(f"wheels: {f'none ({reason})' if reason else ', '.join(pack.WHEELS)}")


def check_packages(options: argparse.Namespace) -> None:
    """Raise UserError if a package is missing on this machine, with the command that installs what was packed."""
    needed = (*PACKAGES, *(() if options.rehearse else ("nvidia-ml-py",)))
    missing = [name for name in needed if hardware.version(name) is None]
    if missing:
        install = f"{sys.executable} -m pip install --no-index --no-deps --find-links {options.pack / 'wheels'}"
        raise UserError(f"{', '.join(missing)} missing: {install} {' '.join(missing)}")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    phases.add_arguments(parser, "runs/first-card-results")
    on_card.add_arguments(parser)
    home = parser.add_argument_group("pack, at home")
    home.add_argument("--source", default="climbmix", help="as for `autoresearch prepare`; default climbmix")
    home.add_argument("--shards", type=int, default=1, help="of climbmix; default 1")
    home.add_argument("--vocab-size", type=int, default=8192)
    home.add_argument("--seq-len", type=int, default=2048)
    home.add_argument("--original", type=Path, help="folder with the original's train.py, to compare with")
    home.add_argument("--python", default="3.12", help="version on the card's machine, for wheels; default 3.12")
    return parser.parse_args(arguments)


def main() -> int:
    options = parse()
    if options.command == "pack":
        make_pack(options)
        return 0
    if options.command == "run":
        check_packages(options)
    return on_card.run_plan(PLAN, options)


if __name__ == "__main__":
    sys.exit(on_card.guard(main))
