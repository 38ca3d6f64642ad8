"""The fixed facts of the trials on a slot, as lines for a brief: what the referee itself knows, in numbers."""

import math
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from autoresearch import hardware
from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.result import Overhead
from autoresearch.measure.settings import ANSWER_FACTOR, MAX_CHECKPOINT_BYTES, Settings, TrialPlan
from autoresearch.sandbox.launch import PATH
from autoresearch.sandbox.layers import MAX_FILE_BYTES, SPARE_PROCESSES

COMPILERS = ("gcc", "g++", "clang", "nvcc")
UNITS = {"s": "s", "cpu": "CPU-seconds", "steps": "steps"}
NO_DATA = "Text, vocabulary and rows are not known here: the data set is not prepared yet."


def describe_trial(settings: Settings, data: Dataset | None, base: Overhead | None = None) -> list[str]:
    """Return one line for each fact that is the same in all trials; `base` is what the base spent, if it is known."""
    facts = dict(_describe_data(settings, data)) if data is not None else {"Data": NO_DATA}
    facts |= {
        "Budget": _describe_budget(settings.budget),
        "Device": _describe_device(settings),
        "Limits": _describe_limits(settings),
        "Setup": _describe_setup(settings, base),
        "Scoring": _describe_scoring(settings, base),
        "Software": _describe_software(settings),
    }
    return [f"{name}: {words}" for name, words in facts.items()]


def _describe_data(settings: Settings, data: Dataset) -> Iterator[tuple[str, str]]:
    train, width = data.meta["splits"].get("train", {}), data.seq_len
    documents = train.get("documents")
    size = f"; {train['bytes'] / 1e6:.3g} MB in {documents:,} documents to train on" if documents else ""
    yield "Text", f"{data.kind}{size}"
    tokenizer = data.meta["tokenizer"]
    kind = "plain bytes" if tokenizer["kind"] == "bytes" else "byte-pair encoding"
    words = f"{data.vocab_size:,} token ids ({kind}); id {tokenizer['bos']} begins a document"
    if (length := data.bytes_per_token) is not None:
        words += f"; {length:.2f} bytes a token, so 1 nat a token is {1 / (length * math.log(2)):.3f} bits per byte"
    yield "Vocabulary", words
    rows = data.train_rows
    yield (
        "Rows",
        f"trial.rows is uint16 [{rows:,}, {width + 1}]; seq_len is {width}; {rows * width:,} tokens in all. Its order"
        " is contiguous: a document that is longer than a row goes on in the next rows, each of which begins with the"
        " last token of the row before; short documents share rows. trial.batches draws rows shuffled, each once an"
        " epoch",
    )
    yield (
        "Score",
        f"{settings.eval_rows:,} rows of other documents of the same text, each row alone: no token is predicted from"
        f" more than {width} before it, and the {width} predictions of a row count alike",
    )


def _describe_budget(budget: Budget) -> str:
    if budget.unit == "steps":
        return f"{budget.amount:g} batches drawn from trial.batches"
    what = {
        "s": f"{budget.amount:g} s of wall-clock time",
        "cpu": f"{budget.amount:g} CPU-seconds, of all threads together, and at most {budget.wall_limit_s:g} s of"
        " wall-clock time",
    }
    return f"{what[budget.unit]}, from trial.start() to the bell; at least {budget.reserve:g} of it are kept to save"


def _describe_device(settings: Settings) -> str:
    cores = len(os.sched_getaffinity(0) if settings.cores is None else settings.cores)
    cpu = f"{cores} core{'s' if cores != 1 else ''} of {hardware.cpu_name()}"
    threads = f"{settings.threads} thread{'s' if settings.threads != 1 else ''} for torch and numpy"
    if settings.gpu is None:
        memory = f"{_gib(settings.memory or hardware.memory_bytes())} of memory"
        bfloat16 = f"bfloat16 in hardware: {', '.join(hardware.bfloat16_units()) or 'no'}"
        return f"{settings.device}: {cpu}, {memory}, {threads}; {bfloat16}"
    on_card = hardware.gpu_memory(settings.gpu)
    size = f" with {_gib(on_card[0])} of memory" if on_card else ""
    return f"{settings.device}: {hardware.gpu_name(settings.gpu) or 'a GPU'}{size}; {cpu}, {threads}"


def _describe_limits(settings: Settings) -> str:
    memory = f"{_gib(settings.memory)} of memory" if settings.device == "cpu" and settings.memory else ""
    is_alone = settings.budget.unit == "cpu"
    processes = "no process but its own, which may have threads" if is_alone else f"{SPARE_PROCESSES} processes"
    state = f"a saved state of {_gib(MAX_CHECKPOINT_BYTES)}"
    return "; ".join(part for part in (state, memory, processes, f"files of {_gib(MAX_FILE_BYTES)} each") if part)


def _describe_setup(settings: Settings, base: Overhead | None) -> str:
    budget, plan = settings.budget, TrialPlan(base=base)
    most = f"before trial.start(), {plan.setup_limit(settings.device):.0f} s of wall-clock time at most"
    if base is None or budget.unit == "steps":
        return f"{most}; nothing of it is charged to the budget" + (
            "" if base else ", as that of the base is not known"
        )
    spent, free = f"{base.setup:.1f}", f"{plan.free_setup(budget):.1f} {UNITS[budget.unit]}"
    return f"{most}; the base spends {spent}, up to {free} are free, and what goes beyond is charged to the budget"


def _describe_scoring(settings: Settings, base: Overhead | None) -> str:
    plan, budget, batches = TrialPlan(base=base), settings.budget, -(-settings.eval_rows // settings.eval_batch)
    load, answer = plan.load_limit(budget), plan.answer_limit(budget, math.inf, batches)
    return (
        f"`load` and two batches of random tokens in {load.amount:.1f} {UNITS[load.unit]}, then {batches} batches of"
        f" {settings.eval_batch} rows, at most {ANSWER_FACTOR:g} times as slow as those, in {answer.amount:.1f}"
        f" {UNITS[answer.unit]} at most"
    )


def _describe_software(settings: Settings) -> str:
    versions = {"Python": platform.python_version(), **{name: hardware.version(name) for name in ("torch", "numpy")}}
    words = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    if settings.budget.unit == "cpu":
        return f"{words}; no compiler can run, for that is another process (torch.compile has nothing to compile with)"
    places = f"{Path(sys.executable).parent}:{PATH}"
    found = [name for name in COMPILERS if shutil.which(name, path=places)]
    return f"{words}; compilers: {', '.join(found) or 'none (torch.compile has nothing to compile C++ with)'}"


def _gib(size: float) -> str:
    return f"{size / 2**30:.3g} GiB"
