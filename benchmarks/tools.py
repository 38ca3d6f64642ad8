"""Measure what the tools of a model cost, and whether one disturbs a trial that runs beside it.

Run `python benchmarks/tools.py [--pairs 8] [--base untuned] [--nice 19]`. The trial is the base, with a fixed budget of
CPU time on the last core; tools run on the others. Trials with a tool beside them and without one take turns, and so do
the tools; what counts is the ratio of steps in each pair.
"""

import argparse
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import sqrt
from pathlib import Path
from statistics import fmean, median, stdev

import cpu_base

from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings
from autoresearch.setup import prepare
from autoresearch.tools.model_tools import ModelTools
from autoresearch.tools.scoring_gate import ScoringGate
from autoresearch.tools.workbench import LOWEST_PRIORITY, Workbench

DEMO = Path(__file__).resolve().parents[1] / "autoresearch" / "setup" / "demo_files" / "train.py"
BASES = {**cpu_base.BASES, "demo": DEMO.read_text}
PROBE = "import time\nend = time.time() + 15\nwhile time.time() < end:\n    np.sort(np.random.rand(1_000_000))\n"
COSTS = 3  # runs of each tool without a trial beside it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--base", choices=BASES, default="untuned")
    parser.add_argument("--budget", default="5cpu")
    parser.add_argument("--nice", type=int, default=LOWEST_PRIORITY, help="of tools; 0 on a machine that others use")
    options = parser.parse_args()
    source, cores = BASES[options.base](), sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("there is no spare core here")
    with tempfile.TemporaryDirectory() as cache:
        data = Dataset.open(prepare.prepare("sotu", None, None, "cpu", cache=Path(cache), search_s=0.0))
        settings = Settings(Budget.parse(options.budget), cores=(cores[-1],), eval_rows=256)
        gate = ScoringGate()
        bench = Workbench(replace(settings, cores=tuple(cores[:-1]), memory=4 << 30), data, gate, nice=options.nice)
        referee = CellReferee(settings, data, while_scoring=gate.scoring)
        calls: dict[str, Callable[[], str]] = {
            "check": lambda: tools_of(bench, source).check(source),
            "same": lambda: tools_of(bench, source).same(source, None),
            "profile": lambda: tools_of(bench, source).profile(source),
            "probe (15 s of sorting)": lambda: tools_of(bench, source).probe(source, PROBE),
        }
        about = f"{options.base}, {options.budget}, tools with nice {options.nice}"
        print(f"{about}, {len(cores)} cores, load {os.getloadavg()[0]:.1f}\n")
        print_costs(calls)
        print_ratios(calls, referee, source, options.pairs)


def tools_of(bench: Workbench, source: str) -> ModelTools:
    """Return new tools: their probes of the last hour are not counted."""
    return ModelTools(bench, lambda n: ("the incumbent", source))


def print_costs(calls: dict[str, Callable[[], str]]) -> None:
    print("| tool | seconds, median | from | to |\n|---|---|---|---|")
    for name, call in calls.items():
        times = [seconds_of(call) for _ in range(COSTS)]
        print(f"| {name} | {median(times):.1f} | {min(times):.1f} | {max(times):.1f} |", flush=True)


def seconds_of(call: Callable[[], str]) -> float:
    began = time.monotonic()
    call()
    return time.monotonic() - began


def print_ratios(calls: dict[str, Callable[[], str]], referee: CellReferee, source: str, pairs: int) -> None:
    """Print the steps of trials beside a tool over those of trials alone, for tools in turn and for none."""
    kinds = {"none (noise)": None, **calls}
    ratios: dict[str, list[float]] = {name: [] for name in kinds}
    for pair in range(pairs):
        for name, call in kinds.items():
            order = [None, call] if pair % 2 else [call, None]
            steps = [steps_of(referee, source, pair, each) for each in order]
            ratios[name].append(steps[1] / steps[0] if pair % 2 else steps[0] / steps[1])
    print("\n| beside the trial | steps, ratio to alone | error of the mean | spread of one pair | pairs |")
    print("|---|---|---|---|---|")
    for name, found in ratios.items():
        spread = stdev(found) if len(found) > 1 else float("nan")
        print(f"| {name} | {fmean(found):.4f} | {spread / sqrt(len(found)):.4f} | {spread:.4f} | {len(found)} |")


def steps_of(referee: CellReferee, source: str, seed: int, call: Callable[[], str] | None) -> float:
    """Return the steps of a trial, with a tool that runs all the time beside it if there is one."""
    with repeated(call):
        result = referee.measure(source, seed)
    if result.outcome != "ok":
        raise SystemExit(f"the trial failed: {result.reason}")
    return result.reported["step"]


@contextmanager
def repeated(call: Callable[[], str] | None) -> Iterator[None]:
    """Repeat a call in a thread until the block ends."""
    ended = threading.Event()

    def run() -> None:
        while call is not None and not ended.is_set():
            call()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


if __name__ == "__main__":
    main()
