"""What the benchmarks for a card share: the card, the settings of its trials, the base, and what a trial says."""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import pack
from phases import Bench, Plan

from autoresearch import hardware
from autoresearch.data.dataset import Dataset
from autoresearch.errors import Blocker, UsageError, UserError
from autoresearch.files import JsonObject
from autoresearch.hardware import GpuMeter
from autoresearch.measure import facts
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.setup import plan

ROOT = Path(__file__).resolve().parents[1]
TRAIN = ROOT / "train.py"
PACK = ROOT / "runs" / "first-card"  # what `first_card.py pack` writes; git ignores it
EVALUATION = {"cuda": (10240, 16), "cpu": (64, 32)}  # rows that are scored, rows of a batch
SLACK_MB = 300.0
CLEAN_TIMEOUT_S = 15.0
LOG_CHARS = 3000


def require_card() -> str:
    """Return the UUID of the first card. Raises Blocker."""
    try:
        cards = hardware.gpus()
    except Exception as error:  # NVML's own errors, whose class is in a package that may be missing
        raise Blocker(f"the driver of the card does not answer: {error}") from None
    if cards:
        return cards[0]
    missing = "; the package nvidia-ml-py is missing" if hardware.version("nvidia-ml-py") is None else ""
    raise Blocker(f"there is no NVIDIA card here, nothing was measured{missing}: run it on one, or use --rehearse")


def open_data(pack: Path) -> Dataset:
    """Open the data set of a pack. Raises Blocker."""
    if not (pack / "data").is_dir():
        raise Blocker(f"no data set in {pack}: make it at home (`first_card.py pack`) and copy the folder")
    return Dataset.open(pack / "data")


def make_settings(device: str, budget: str, caches: Path) -> Settings:
    """Return the settings of trials on the first card, or on this CPU."""
    rows, batch = EVALUATION[device]
    gpu = require_card() if device == "cuda" else None
    return Settings(Budget.parse(budget), device, gpu=gpu, eval_rows=rows, eval_batch=batch, caches=caches)


def fit_base(text: str, settings: Settings, data: Dataset) -> str:
    """Return train.py for the device: planned by the memory of the card, without a probe."""
    memory = hardware.gpu_memory(settings.gpu)
    if memory is None or not plan.has_shipped_shape(text):
        return plan.fit_device(text, settings.device)
    shape = plan.shape_by_memory(plan.Card(memory[0], data.vocab_size, data.seq_len))
    reason = f"by the memory of {hardware.gpu_name(settings.gpu)}, not measured"
    return plan.write_constants(text, "cuda", shape.constants, reason)


def note_result(bench: Bench, result: Result, settings: Settings) -> None:
    """Note what a trial says. Raises UserError, after the notes, unless it was measured."""
    for name, value in describe_result(result, settings).items():
        bench.note(name, value)
    if result.outcome != "ok":
        bench.note("end of the log", result.log[-LOG_CHARS:])
        raise UserError(f"{result.outcome}: {result.reason}")


def describe_result(result: Result, settings: Settings) -> JsonObject:
    """Return what a trial says, by name."""
    trial, peak = result.as_json(), hardware.peak_tflops(hardware.gpu_name(settings.gpu))
    tokens, seconds = facts.trained_tokens(trial), result.train_seconds
    return {
        "outcome": f"{result.outcome} {result.reason}".strip(),
        "val_bpb": result.val_bpb,
        "setup s": result.setup_seconds,
        "train s": seconds,
        "score s": result.score_seconds,
        "outside the budget s": result.total_seconds - seconds,
        "spent": result.spent,
        "steps": result.reported.get("step"),
        "ms a step": 1000 * seconds / result.reported["step"] if result.reported.get("step") else None,
        "tokens a second": tokens / seconds if seconds else None,
        "MFU %": facts.mfu_percent(trial, peak),
        "peak MB": result.peak_vram_mb,
        "audit": result.audit,
        "card": result.conditions,
        "grade": result.grade,
        "layers": result.layers,
    }


def wait_until_clean(meter: GpuMeter, before_mb: float | None) -> float | None:
    """Return the seconds until a card uses no more memory than before; None without a card or after a timeout."""
    started = time.monotonic()
    while before_mb is not None and time.monotonic() - started < CLEAN_TIMEOUT_S:
        used = meter.used_mb()
        if used is None:
            return None
        if used <= before_mb + SLACK_MB:
            return time.monotonic() - started
        time.sleep(0.05)
    return None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say what is measured, and where."""
    parser.add_argument(
        "--pack", type=Path, default=PACK, help="what `first_card.py pack` made; default runs/first-card"
    )
    parser.add_argument("--work", type=Path, help="folder of compile caches; by default beside the results")
    parser.add_argument("--train", type=Path, default=TRAIN, help="the base; default train.py of this checkout")
    parser.add_argument("--rehearse", action="store_true", help="on a CPU, in small, with made-up text")
    parser.add_argument("--scale", type=float, default=1.0, help="factor on all limits, for slow machines; default 1")


def run_plan(chosen: Plan, options: argparse.Namespace) -> int:
    """Do what the command says with the phases of a plan; return the exit code. Raises UserError."""
    folder = options.out.absolute()
    options.work = (options.work or folder.with_name(f"{folder.name}-work")).absolute()
    options.device = "cpu" if options.rehearse else "cuda"
    if options.command == "phase":
        return chosen.run_inside(options.name, folder, options)
    if options.command == "table":
        chosen.write(folder)
        print((folder / "table.md").read_text())
        return 0
    if options.command != "run":
        raise UsageError(f"no command {options.command!r}: use run, table or pack")
    prepare(options)
    arguments = ["--pack", str(options.pack), "--work", str(options.work), "--train", str(options.train.absolute())]
    arguments += ["--scale", str(options.scale), *(["--rehearse"] if options.rehearse else [])]
    exit_code = chosen.scaled(options.scale).run(folder, arguments, options.only, options.within)
    print((folder / "table.md").read_text())
    return exit_code


def prepare(options: argparse.Namespace) -> str:
    """Check, before any second is spent, that there are a card and data; return the device.

    The data of a rehearsal are made up. Raises Blocker.
    """
    options.work.mkdir(parents=True, exist_ok=True)
    if not options.rehearse:
        require_card()
        open_data(options.pack)
        return "cuda"
    options.pack = options.work / "pack"
    options.pack.mkdir(exist_ok=True)
    if not (options.pack / "data").is_dir():
        pack.make_up(options.pack / "data")
    return "cpu"


def guard(main: Callable[[], int]) -> int:
    """Return the exit code of a script; an error that a user can mend is one line."""
    try:
        return main()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
