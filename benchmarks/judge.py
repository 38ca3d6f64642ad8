"""Nights against a simulated truth: what a rule keeps, what that is worth, and how much of it is luck.

    python benchmarks/judge.py [--nights 300] [--trials 100]

A night is 100 trials' worth of time; base replicates, re-runs and trials of the incumbent cost trials. Ideas are drawn from
a world: a share is good (0.5 to 4 sigma), most are harmful, the rest does nothing. A kept idea becomes the incumbent. A machine
may be steady, drift (all scores follow a random walk of 0.15 sigma a trial), or jump (every seventh trial or so all
scores move to another level, 2 sigma wide). Unit: one sigma.
"""

import argparse
import random
from collections.abc import Callable
from functools import partial
from itertools import product
from statistics import fmean

from autoresearch import judge

WORLDS = {"no good ideas, none harmful": (0.0, 0.0), "0 %": (0.0, 0.6), "5 %": (0.05, 0.6), "10 %": (0.10, 0.6), "20 %": (0.20, 0.6)}
REPLICATES = 3
ASKED = ("run_again", "compare")
MACHINES = {"steady": (0.0, 0.0), "drifting": (0.15, 0.0), "jumping": (0.0, 0.15)}  # sigma of a step, chance of a jump
LEVELS = 2.0  # sigma of the levels between which a machine jumps


def idea(rng: random.Random, good: float, harmful: float) -> float:
    """The true effect of one change; negative is a gain."""
    u = rng.random()
    if u < good:
        return -rng.uniform(0.5, 4.0)
    return rng.expovariate(1 / 3) if u < good + harmful else 0.0


class Machine:
    """Draws scores, and may drift or jump."""

    def __init__(self, rng: random.Random, kind: str) -> None:
        self.rng, self.offset, self.spent = rng, 0.0, 0
        self.step, self.chance = MACHINES[kind]

    def trial(self, truth: float) -> float:
        """One score."""
        self.spent += 1
        self.offset += self.rng.gauss(0, self.step) if self.step else 0.0
        if self.chance and self.rng.random() < self.chance:
            self.offset = self.rng.gauss(0, LEVELS)
        return truth + self.offset + self.rng.gauss(0, 1)


def night(
    rng: random.Random, rule: str, trials: int, kind: str, draw: Callable[[random.Random], float]
) -> tuple[float, int, int, int]:
    """True gain of the final version, keeps, keeps without effect, experiments."""
    machine, truth = Machine(rng, kind), 0.0
    groups = [[machine.trial(truth) for _ in range(REPLICATES)]]
    incumbent, keeps, empty, count = list(groups[0]), 0, 0, 0
    while machine.spent < trials:
        effect, beside = draw(rng), list[float]()
        scores = [machine.trial(truth + effect)]
        while (decision := judge.decide(rule, scores, incumbent, judge.noise([*groups, scores]), beside)).action in ASKED:
            if decision.action == "compare":
                beside.append(machine.trial(truth))
            else:
                scores.append(machine.trial(truth + effect))
        groups += [scores, beside]
        count += 1
        incumbent += beside
        if decision.action == "keep":
            keeps, empty, truth = keeps + 1, empty + (effect >= 0), truth + effect
            incumbent = scores[1:] or scores
    return -truth, keeps, empty, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=300)
    parser.add_argument("--trials", type=int, default=100)
    options = parser.parse_args()
    print("| machine | good ideas | rule | true gain, sigma | keeps | without effect | share | experiments |\n|---|---|---|---|---|---|---|---|")
    for kind, (world, (good, harmful)), rule in product(MACHINES, WORLDS.items(), judge.RULES):
        rng, draw = random.Random(0), partial(idea, good=good, harmful=harmful)
        nights = [night(rng, rule, options.trials, kind, draw) for _ in range(options.nights)]
        gain, keeps, empty, count = (fmean(column) for column in zip(*nights, strict=True))
        print(f"| {kind} | {world} | {rule} | {gain:.2f} | {keeps:.2f} | {empty:.2f} | {empty / max(keeps, 1e-9):.0%} | {count:.0f} |")


if __name__ == "__main__":
    main()
