"""Measure versions that are much larger than the base, within the time limits of a measured base.

    python benchmarks/large_versions.py [--trials 10] [--budget 15cpu] [--slots 0]

One is the base's model with four times its numbers, the other a program with tables of 24 million numbers. Both are
honest, so each trial should be scored, also on a busy machine.
"""

import argparse
from collections import Counter
from pathlib import Path

from cpu_base import untuned

from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Overhead, Result
from autoresearch.measure.settings import TrialPlan
from autoresearch.setup.project import open_project
from autoresearch.source.constants import with_constants

TABLES = Path(__file__).resolve().parents[1] / "tests" / "honest_programs" / "night_llm_cpu.py"


def describe(result: Result) -> str:
    """Return the size of a version, and what it spent beside its budget."""
    spent = ", ".join(f"{part} {seconds:.2f}" for part, seconds in result.spent.items())
    return f"{result.parameters or 0:,} numbers, beside the budget {spent}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--budget", default="15cpu")
    parser.add_argument("--slots")
    options = parser.parse_args()
    project = open_project({"budget": options.budget, "slots": options.slots}, Path.cwd())
    referee = CellReferee(project.settings, project.data)
    base = referee.measure(untuned(), 0)
    print(f"base: {base.outcome}, val_bpb {base.val_bpb}, {describe(base)}", flush=True)
    plan = TrialPlan(base=Overhead(**base.spent))
    versions = {"wide": with_constants(untuned(), {"MODEL_DIM": 192}), "tables": TABLES.read_text()}
    outcomes = Counter[str]()
    for seed in range(1, options.trials + 1):
        for name, text in versions.items():
            result = referee.measure(text, seed, plan)
            outcomes[result.outcome] += 1
            what = f"val_bpb {result.val_bpb:.4f}" if result.val_bpb else result.reason
            print(f"{name:6} seed {seed:2}: {result.outcome}, {what}, {describe(result)}", flush=True)
    print(", ".join(f"{n} {outcome}" for outcome, n in outcomes.items()))


if __name__ == "__main__":
    main()
