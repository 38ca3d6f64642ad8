"""Measure what a trial on a Ray cluster costs its driver, and how many trials an hour its slots run.

Run `python benchmarks/fleet.py ADDRESS [--slots 1 2] [--trials 4] [--seconds 10]` in a folder with a data set of its
own, on a cluster that is idle. A trial sleeps through its budget, so that only what surrounds it differs.
"""

import argparse
import resource
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from autoresearch import config as configuration
from autoresearch.fleet.fleet import Fleet
from autoresearch.fleet.fleet_project import FleetProject
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee, Referee
from autoresearch.setup.project import open_project, repository_or_here

SLEEPER = """
import time
import numpy as np

def train(trial):
    trial.start()
    while trial.progress < 0.9:
        time.sleep(0.05)
    trial.save({"logits": np.zeros(trial.vocab_size, np.float32)}, {})

def load(state, config, device):
    return lambda tokens: np.broadcast_to(state["logits"], (*tokens.shape, len(state["logits"])))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address")
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--trials", type=int, default=4, help="on each slot")
    parser.add_argument("--seconds", type=float, default=10.0, help="budget of a trial")
    args = parser.parse_args()
    root = repository_or_here()
    fleet = Fleet.open(configuration.load(root, {"ray": args.address, "device": "cpu"}))
    project = FleetProject.of(open_project({"device": "cpu"}, root, remote=fleet.slots), fleet)
    budget = Budget(args.seconds, "s")
    project = replace(project, settings=replace(project.settings, budget=budget))
    print(fleet.describe())
    report("at home", [CellReferee(replace(project.settings, cores=None), project.data)], args.trials)
    for count in args.slots:
        if count > len(project.slots):
            print(f"{count} slots: the cluster has {len(project.slots)}")
            continue
        referees = project.referees(project.settings, count, "benchmark", project.root.joinpath, print)
        referees[0].measure(SLEEPER, 0)  # data and process pool are there
        report(f"{count} slots", referees, args.trials)
    fleet.cluster.close()


def report(name: str, referees: Sequence[Referee], trials: int) -> None:
    """Run so many trials on each slot; print the trials of an hour, and seconds for each trial."""
    began, used = time.monotonic(), cpu_seconds()
    with ThreadPoolExecutor(len(referees)) as pool:
        runs = [pool.submit(run_trials, referee, trials) for referee in referees]
        outcomes = [outcome for run in runs for outcome in run.result()]
    seconds, cpu = time.monotonic() - began, cpu_seconds() - used
    count = len(outcomes)
    rate, each = 3600 * count / seconds, seconds * len(referees) / count
    print(
        f"{name}: {rate:.0f} trials an hour, {each:.1f} s a trial, driver {cpu / count:.3f} CPU s a trial; {outcomes}"
    )


def run_trials(referee: Referee, trials: int) -> list[str]:
    return [referee.measure(SLEEPER, seed).outcome for seed in range(trials)]


def cpu_seconds() -> float:
    """Return the CPU seconds of this process alone, without the cells of trials at home."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
