"""Measure the noise of one trial, alone and beside a busy process.

    python benchmarks/noise.py [--seeds 8] [--budgets 15cpu] [--neighbours quiet,busy]

All kinds of trials take turns, so that a slow drift of the machine affects each of them; several budgets (15cpu,15s)
show which clock has less noise. `at equal steps` is sigma without the influence of the machine's speed: the residual
of a line through scores and logarithms of steps. The last column is the smallest gain that would be kept.
"""

import argparse
import math
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import StatisticsError, fmean, linear_regression, stdev

from autoresearch import judge
from autoresearch.measure.referee import CellReferee
from autoresearch.setup import plan
from autoresearch.setup.project import open_project


@contextmanager
def neighbour(busy: bool, cores: set[int]) -> Iterator[None]:
    """Run a process that keeps a core outside of `cores` busy, or none."""
    process = multiprocessing.Process(target=spin, args=(cores,), daemon=True)
    if busy:
        process.start()
    yield
    if busy:
        process.kill()
        process.join()


def spin(cores: set[int]) -> None:
    os.sched_setaffinity(0, set(range(os.cpu_count() or 1)) - cores)
    while True:
        sum(x * x for x in range(100_000))


def smallest_gain(base: list[float]) -> float:
    """Return the smallest gain, bits per byte, that is kept if all draws show it exactly."""
    incumbent = [judge.Draw(score, k) for k, score in enumerate(base)]
    noise = judge.noise([incumbent])
    for tenths in range(1, 100):
        gain = noise.sigma * tenths / 10
        candidate = [judge.Draw(fmean(base) - gain, len(base) + k) for k in range(5)]
        if any(judge.decide("default", candidate[:k], incumbent, noise).action == "keep" for k in range(1, 6)):
            return gain
    return math.nan


def at_equal_steps(steps: list[float], scores: list[float]) -> float:
    """Return the standard deviation of scores around a line over the logarithms of steps."""
    try:
        slope, level = linear_regression(list(map(math.log, steps)), scores)
    except StatisticsError:  # all have the same number of steps
        return stdev(scores)
    rest = [score - level - slope * math.log(n) for n, score in zip(steps, scores, strict=True)]
    return math.sqrt(sum(each * each for each in rest) / max(1, len(rest) - 2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--budgets", default="15cpu", help="of a trial, separated by commas")
    parser.add_argument("--neighbours", default="quiet,busy", help="which of the two, separated by commas")
    options = parser.parse_args()
    projects = [open_project({"budget": budget}, Path.cwd()) for budget in options.budgets.split(",")]
    text = plan.fit_device(Path("train.py").read_text(), projects[0].slot.device)
    neighbours = options.neighbours.split(",")
    kinds = {(str(project.settings.budget), name): project for project in projects for name in neighbours}
    scores: dict[tuple[str, str], list[float]] = {kind: [] for kind in kinds}
    steps: dict[tuple[str, str], list[float]] = {kind: [] for kind in kinds}
    print("| seed | budget | neighbour | val_bpb | steps | seconds |\n|---|---|---|---|---|---|")
    for seed in range(options.seeds):
        for kind, project in kinds.items():
            began = time.monotonic()
            with neighbour(kind[1] == "busy", set(project.settings.cores or os.sched_getaffinity(0))):
                result = CellReferee(project.settings, project.data).measure(text, seed)
            assert result.val_bpb is not None, result.reason
            scores[kind].append(result.val_bpb)
            steps[kind].append(result.reported["step"])
            cells = f"{result.val_bpb:.4f} | {steps[kind][-1]:.0f} | {time.monotonic() - began:.1f}"
            print(f"| {seed} | {' | '.join(kind)} | {cells} |", flush=True)
    print("\n| budget | neighbour | steps | mean | sigma | at equal steps | smallest gain kept |\n|" + "---|" * 7)
    for kind, values in scores.items():
        spread = f"{fmean(steps[kind]):.0f} +- {stdev(steps[kind]):.0f}"
        found = (fmean(values), stdev(values), at_equal_steps(steps[kind], values), smallest_gain(values))
        print(f"| {' | '.join(kind)} | {spread} | {' | '.join(f'{each:.4f}' for each in found)} |")


if __name__ == "__main__":
    main()
