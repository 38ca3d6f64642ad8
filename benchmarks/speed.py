"""Measure what other programs do to scores, and what comparing them at equal speed brings.

    python benchmarks/speed.py spread [--budget 3cpu] [--minutes 6] [--version base]    two uses of the kernel
    python benchmarks/speed.py attack [--budget 3cpu] [--rounds 6]      versions that could slow the kernel on purpose

`spread` repeats one version, a small one in numpy (small_version.py) or the CPU base, while other programs load the
machine in turns. Each load gets a trial with the budget as it is, and one with the budget in *reference* CPU-seconds:
the amount is multiplied by the speed of a quiet core, over the speed just before the trial. The spread at equal speed
is that of scores which are adjusted by the slope that all other trials show. Intervals are of 2000 bootstrap samples.

`attack` runs versions in turns that thrash the caches, spin threads, heat the core or write files, and compares what
the kernel shows beside them with what it shows beside an honest one.
"""

import argparse
import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev

from cpu_base import untuned

from autoresearch.judge import Draw, learn_speed
from autoresearch.measure.clock import Budget
from autoresearch.measure.core_meter import OTHERS, SPEED, measure_idle_cores
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import TrialPlan
from autoresearch.setup.project import Project, open_project

SPIN = "while True: sum(range(1000))"
COPY = "import numpy as np\na = np.ones(8_000_000); b = a.copy()\nwhile True: np.copyto(b, a)"  # 64 MB
LOADS = {  # programs beside the slot: their code, and whether they share the slot's core
    "nothing": (),
    "a busy core": ((SPIN, False),),
    "both cores busy": ((SPIN, False), (SPIN, True)),
    "memory": ((COPY, False),),
}
CALIBRATION_READINGS = 40
SAMPLES = 2000
PLAN = TrialPlan(loses_above=0.0)  # the base is honest: no audit

VERSIONS = {"small": Path(__file__).with_name("small_version.py").read_text, "base": untuned}
EVAL_ROWS = 512  # the same in all trials: fewer rows add no spread
PROGRAM = """
import numpy as np
done = []
{setup}

def train(trial):
    counts = np.ones((trial.vocab_size, trial.vocab_size), np.float32)
    trial.start()
    batches, step = trial.batches(16), 0
    while trial.progress < 0.8:
        x, y = next(batches)
        np.add.at(counts, (x.ravel(), y.ravel()), 1.0)
        {work}
        step += 1
        trial.log(step=step)
    done.append(step)
    trial.save(dict(counts=counts), dict())


def load(state, config, device):
    logits = np.log(state["counts"] / state["counts"].sum(1, keepdims=True))
    return lambda tokens: logits[tokens]
"""
WORK = {  # what a version does in each step beside its training
    "honest": "pass",
    "thrashes 256 MB": "big[rng.integers(0, len(big), 20_000)] += 1.0",
    "streams 256 MB": "np.add(big, 1.0, out=big)",
    "large products": "np.matmul(square, square, out=product)",
    "spins 8 threads": "start_threads()",
    "writes files": "write_file()",
}
SETUP = """
import os, tempfile, threading
rng = np.random.default_rng(0)
big = np.zeros(1 << 25)
square = np.ones((1024, 1024), np.float32)
product = np.empty_like(square)
started = []


def spin():
    while not done:
        big[rng.integers(0, len(big), 1000)] += 1.0


def start_threads():
    while len(started) < 8:
        started.append(threading.Thread(target=spin, daemon=True))
        started[-1].start()


def write_file():
    with tempfile.TemporaryFile() as file:
        file.write(bytes(1 << 24))
        file.flush()
        os.fsync(file.fileno())
"""


@dataclass(frozen=True)
class Measured:
    load: str
    score: float
    steps: float
    speed: float
    others: float

    def __str__(self) -> str:
        return f"{self.score:.4f} | {self.steps:.0f} | {self.speed:.2f} | {self.others:.1f}"

    def draw(self, k: int) -> Draw:
        return Draw(self.score, k, speed=self.speed)


@contextmanager
def load(name: str, cores: Sequence[int]) -> Iterator[None]:
    """Run the programs of a load."""
    others = sorted(set(range(os.cpu_count() or 1)) - set(cores)) or list(cores)
    with ExitStack() as stack:
        for code, beside in LOADS[name]:
            place = ",".join(map(str, cores if beside else others))
            process = subprocess.Popen(["taskset", "-c", place, sys.executable, "-c", code])
            stack.callback(process.wait)
            stack.callback(process.kill)
        time.sleep(0.5 if LOADS[name] else 0.0)
        yield


def measure(project: Project, text: str, seed: int, name: str, factor: float = 1.0) -> Measured:
    budget = project.settings.budget
    settings = replace(project.settings, budget=Budget(budget.amount * factor, budget.unit), eval_rows=EVAL_ROWS)
    result = CellReferee(settings, project.data).measure(text, seed, PLAN)
    assert result.val_bpb is not None, result.reason
    return Measured(name, result.val_bpb, result.reported["step"], *facts(result))


def facts(result: Result) -> tuple[float, float]:
    return result.conditions[SPEED], result.conditions[OTHERS]


def raw_spread(trials: Sequence[Measured]) -> float:
    return stdev(trial.score for trial in trials)


def equal_spread(trials: Sequence[Measured]) -> float:
    """Return the spread of scores, each adjusted by the slope that the other trials show."""
    draws = [trial.draw(k) for k, trial in enumerate(trials)]
    quiet = max(draw.speed or 0.0 for draw in draws)
    slopes = [learn_speed([[*draws[:k], *draws[k + 1 :]]]).slope for k in range(len(draws))]
    return stdev(t.score - slope * math.log(t.speed / quiet) for t, slope in zip(trials, slopes, strict=True))


def interval(trials: Sequence[Measured], spread: Callable[[Sequence[Measured]], float], before: float) -> str:
    """Return by how much a spread is lower than another, with its 95 % interval."""
    rng = random.Random(0)
    found = sorted(
        1 - spread(sample) / before for sample in (rng.choices(trials, k=len(trials)) for _ in range(SAMPLES))
    )
    low, high = found[int(0.025 * SAMPLES)], found[int(0.975 * SAMPLES)]
    return f"{1 - spread(trials) / before:.0%} ({low:.0%} to {high:.0%})"


def paired_interval(trials: Sequence[Measured]) -> str:
    """Return the same for scores at equal speed and as measured, of the same samples."""
    rng = random.Random(0)
    samples = [rng.choices(trials, k=len(trials)) for _ in range(SAMPLES // 10)]
    found = sorted(1 - equal_spread(sample) / raw_spread(sample) for sample in samples)
    low, high = found[int(0.025 * len(found))], found[int(0.975 * len(found))]
    return f"{1 - equal_spread(trials) / raw_spread(trials):.0%} ({low:.0%} to {high:.0%})"


def spread(options: argparse.Namespace) -> None:
    project, text = open_project({"budget": options.budget or "3cpu"}, Path.cwd()), VERSIONS[options.version]()
    cores = project.settings.cores or sorted(os.sched_getaffinity(0))
    quiet = measure_idle_cores(cores, CALIBRATION_READINGS)[SPEED]
    plain: list[Measured] = []
    reference: list[Measured] = []
    print("| seed | load | budget | val_bpb | steps | speed | others |\n|" + "---|" * 7)
    end, seed = time.monotonic() + 60 * options.minutes, 0
    while time.monotonic() < end:
        for name in options.loads.split(","):
            for trials in (plain, reference) if seed % 2 else (reference, plain):
                with load(name, cores):
                    now = measure_idle_cores(cores, CALIBRATION_READINGS)[SPEED]
                    factor = quiet / now if trials is reference else 1.0
                    seed += 1
                    trials.append(measure(project, text, seed, name, factor))
                print(f"| {seed} | {name} | {factor * project.settings.budget.amount:.2f} | {trials[-1]} |", flush=True)
    show_spread(plain, reference)


def show_spread(plain: Sequence[Measured], reference: Sequence[Measured]) -> None:
    print("\n| load | trials | steps | speed | val_bpb | val_bpb, reference CPU-seconds |\n|" + "---|" * 6)
    for name in dict.fromkeys(trial.load for trial in plain):
        mine, theirs = ([t for t in trials if t.load == name] for trials in (plain, reference))
        scores = " | ".join(f"{fmean(t.score for t in trials):.4f}" for trials in (mine, theirs))
        speed = f"{fmean(t.steps for t in mine):.0f} | {fmean(t.speed for t in mine):.1f}"
        print(f"| {name} | {len(mine)} | {speed} | {scores} |")
    effect = learn_speed([[trial.draw(k) for k, trial in enumerate(plain)]])
    print(f"\nslope {effect.slope:.4f} +- {effect.error:.4f} bits per byte for one unit of ln(speed)")
    before = raw_spread(plain)
    print("\n| scores | trials | spread | less than as measured (95 %) |\n|---|---|---|---|")
    print(f"| as measured | {len(plain)} | {before:.4f} | |")
    print(f"| at equal speed | {len(plain)} | {equal_spread(plain):.4f} | {paired_interval(plain)} |")
    less = interval(reference, raw_spread, before)
    print(f"| reference CPU-seconds | {len(reference)} | {raw_spread(reference):.4f} | {less} |")


def attack(options: argparse.Namespace) -> None:
    project = open_project({"budget": options.budget or "3cpu"}, Path.cwd())
    speeds: dict[str, list[float]] = {name: [] for name in WORK}
    for seed in range(options.rounds):
        for name in WORK:
            settings = replace(project.settings, eval_rows=EVAL_ROWS)
            result = CellReferee(settings, project.data).measure(program(name), seed, PLAN)
            assert result.outcome == "ok", f"{name}: {result.outcome} {result.reason} {result.log[-500:]}"
            speeds[name].append(result.conditions[SPEED])
    print("| version | kernel beside it | against honest, ln | standard error |\n|---|---|---|---|")
    for name, found in speeds.items():
        ratios = [math.log(a / b) for a, b in zip(found, speeds["honest"], strict=True)]
        error = stdev(ratios) / math.sqrt(len(ratios))
        print(f"| {name} | {fmean(found):.2f} | {fmean(ratios):+.4f} | {error:.4f} |")


def program(name: str) -> str:
    """Return a numpy train.py that does some work in each step."""
    return PROGRAM.format(setup=SETUP if name != "honest" else "", work=WORK[name])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("spread", "attack"))
    parser.add_argument("--budget", help="of a trial")
    parser.add_argument("--version", choices=tuple(VERSIONS), default="small")
    parser.add_argument("--loads", default=",".join(LOADS), help="of the machine, separated by commas")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    {"spread": spread, "attack": attack}[options.what](options)


if __name__ == "__main__":
    main()
