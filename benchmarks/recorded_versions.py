"""Measure base and final version of the recorded session anew, under today's evaluator and data set.

    python benchmarks/recorded_versions.py [--seeds 5] [--budget 15cpu] [--slots 0]

`recorded_base/base.py` is the train.py with which the session of docs/nights.md began. What it ended with is among the
honest programs, with a bound on the discounts of its n-grams that the default text does not reach. Both run on the same
seeds, in turns.
"""

import argparse
import math
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

from autoresearch.measure.referee import CellReferee
from autoresearch.setup.project import open_project

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = {
    "base": ROOT / "benchmarks" / "recorded_base" / "base.py",
    "final": ROOT / "tests" / "honest_programs" / "night_llm_cpu.py",
}


def measure(budget: str, slots: str | None, seeds: Iterable[int]) -> list[tuple[float, float]]:
    """Return the scores of base and final for each seed, and print them as they come."""
    project = open_project({"budget": budget, "slots": slots}, Path.cwd())
    referee, scores = CellReferee(project.settings, project.data), list[tuple[float, float]]()
    texts = {name: path.read_text() for name, path in VERSIONS.items()}
    for seed in seeds:
        pair = {}
        for name in VERSIONS if seed % 2 else reversed(VERSIONS):
            result = referee.measure(texts[name], seed)
            if result.val_bpb is None:
                raise SystemExit(f"{name}, seed {seed}: {result.outcome}: {result.reason}")
            pair[name] = result.val_bpb
            steps = result.reported.get("step", 0)
            print(f"{name:5} seed {seed}: {result.val_bpb:.4f}, {steps:.0f} steps, grade {result.grade}", flush=True)
        scores.append((pair["base"], pair["final"]))
    return scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--budget", default="15cpu")
    parser.add_argument("--slots")
    options = parser.parse_args()
    scores = measure(options.budget, options.slots, range(options.seeds))
    print("\n| version | val_bpb | standard deviation |\n|---|---|---|")
    for name, values in zip(VERSIONS, zip(*scores, strict=True), strict=True):
        print(f"| {name} | {fmean(values):.4f} | {stdev(values):.4f} |")
    gains = [final - base for base, final in scores]
    print(f"\nfinal - base: {fmean(gains):+.4f} +- {stdev(gains) / math.sqrt(len(gains)):.4f} (one standard error)")


if __name__ == "__main__":
    main()
