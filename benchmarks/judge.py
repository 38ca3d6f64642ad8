"""Nights against a simulated truth: what a rule keeps, what that is worth, and how much of it is luck.

    python benchmarks/judge.py [--nights 300] [--trials 100]

A night is 100 trials' worth of time; base replicates and re-runs cost trials. Ideas are drawn from a world: a share is
good (0.5 to 4 sigma), most are harmful, the rest does nothing. A kept idea becomes the incumbent. Unit: one sigma.
"""

import argparse
import random
from collections.abc import Callable
from statistics import fmean

from autoresearch import judge

WORLDS = {"no good ideas, none harmful": (0.0, 0.0), "0 %": (0.0, 0.6), "5 %": (0.05, 0.6), "10 %": (0.10, 0.6), "20 %": (0.20, 0.6)}
REPLICATES = 3


def idea(rng: random.Random, good: float, harmful: float) -> float:
    """The true effect of one change; negative is a gain."""
    u = rng.random()
    if u < good:
        return -rng.uniform(0.5, 4.0)
    return rng.expovariate(1 / 3) if u < good + harmful else 0.0


def night(rng: random.Random, rule: str, trials: int, draw: Callable[[random.Random], float]) -> tuple[float, int, int, int]:
    """True gain of the final version, keeps, keeps without effect, experiments."""
    truth, spent = 0.0, REPLICATES
    groups = [[rng.gauss(0, 1) for _ in range(REPLICATES)]]
    incumbent, keeps, empty, count = list(groups[0]), 0, 0, 0
    while spent < trials:
        effect, scores = draw(rng), list[float]()
        while True:
            scores.append(rng.gauss(truth + effect, 1))
            spent += 1
            decision = judge.decide(rule, scores, incumbent, judge.noise([*groups, scores]))
            if decision.action != "run_again":
                break
        groups.append(scores)
        count += 1
        if decision.action == "keep":
            keeps, empty, truth = keeps + 1, empty + (effect >= 0), truth + effect
            incumbent = scores[1:] or scores
    return -truth, keeps, empty, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nights", type=int, default=300)
    parser.add_argument("--trials", type=int, default=100)
    options = parser.parse_args()
    print("| good ideas | rule | true gain, sigma | keeps | without effect | share | experiments |\n|---|---|---|---|---|---|---|")
    for world, (good, harmful) in WORLDS.items():
        for rule in judge.RULES:
            rng = random.Random(0)
            nights = [night(rng, rule, options.trials, lambda r, g=good, h=harmful: idea(r, g, h)) for _ in range(options.nights)]
            gain, keeps, empty, count = (fmean(column) for column in zip(*nights, strict=True))
            print(f"| {world} | {rule} | {gain:.2f} | {keeps:.2f} | {empty:.2f} | {empty / max(keeps, 1e-9):.0%} | {count:.0f} |")


if __name__ == "__main__":
    main()
