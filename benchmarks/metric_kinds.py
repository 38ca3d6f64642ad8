"""Simulate nights of two kinds of metrics with a known truth: rates over tasks, and exact numbers.

    python benchmarks/metric_kinds.py [--nights 200] [--tasks 60] [--proposals 40] [--points 8]

Each night has so many proposals without effect. "Fixed" results depend on the version alone, and a change without
effect flips one task in ten, up or down. "Sampled" results are drawn anew with each seed, from a probability of each
task that a change without effect leaves as it is, or ("mixed") draws anew for one task in ten. In the nights with a
planted version one of the proposals, at a random place, solves so many points more. An exact number is a count; a
change without effect leaves it, or makes it worse by 1 to 3.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from autoresearch import judge
from autoresearch.judge import Draw
from autoresearch.metric import Metric

REPLICATES = 3
CHANGED = 0.1  # of the tasks, by a change without effect
MAX_TRIALS = 300

Floats = NDArray[np.float64]
METRIC = Metric("solved", goal="max", kind="rate")
COUNT = Metric("comparators", kind="exact")


@dataclass
class Version:
    """What a version solves: probabilities by task, and its trials so far."""

    p: Floats
    draws: list[Draw] = field(default_factory=list)
    tasks: list[dict[str, float]] = field(default_factory=list)


@dataclass
class RateNight:
    """One night of a session that is scored by tasks."""

    world: str
    rng: np.random.Generator
    tasks: int
    trials: int = 0
    keeps: list[bool] = field(default_factory=list)  # of each keep: it was the planted one
    effects: list[tuple[float, float]] = field(default_factory=list)

    def base(self) -> Version:
        p = self.rng.beta(0.5, 0.5, self.tasks)
        version = Version((p > self.rng.random(self.tasks)).astype(float) if self.world == "fixed" else p)
        for _ in range(REPLICATES):
            self.run(version)
        return version

    def run(self, version: Version) -> None:
        """Take one trial of a version."""
        solved = (self.rng.random(self.tasks) < version.p).astype(float)
        self.trials += 1
        version.tasks.append({str(task): score for task, score in enumerate(solved)})
        version.draws.append(Draw(METRIC.to_scale(float(solved.mean())), self.trials))

    def change(self, p: Floats) -> Floats:
        """Return the probabilities after a change without effect."""
        new, touched = p.copy(), self.rng.random(self.tasks) < CHANGED * (self.world != "sampled")
        if self.world == "fixed":  # as many up as down, on average
            share = p.mean() if 0 < p.mean() < 1 else 0.5
            flips = np.where(p > 0, CHANGED / 2 / share, CHANGED / 2 / (1 - share))
            new = np.where(self.rng.random(self.tasks) < flips, 1 - p, p)
        else:
            new[touched] = self.rng.beta(0.5, 0.5, int(touched.sum()))
        return new

    def add(self, p: Floats, points: float) -> Floats:
        """Solve more of the tasks that are seldom solved, until the mean is higher by `points` in a hundred."""
        new, wanted = p.copy(), p.mean() + points / 100
        for task in self.rng.permutation(np.flatnonzero(p < 0.5)):
            if new.mean() >= wanted:
                break
            new[task] = min(1.0, new[task] + (wanted - new.mean()) * self.tasks)
        return new

    def propose(self, incumbent: Version, points: float) -> Version:
        """Judge one proposal by its trials; return the incumbent after it."""
        candidate = Version(self.add(incumbent.p, points) if points else self.change(incumbent.p))
        self.run(candidate)
        while (decision := self.judge(candidate, incumbent)).action in ("run_again", "compare"):
            self.run(candidate if decision.action == "run_again" else incumbent)
        self.effects.append((decision.delta / self.noise([candidate, incumbent]).sigma, decision.p_gain))
        if decision.action != "keep":
            return incumbent
        self.keeps.append(points > 0)
        return Version(candidate.p, candidate.draws[1:], candidate.tasks[1:])

    def noise(self, versions: list[Version]) -> judge.Noise:
        earlier = judge.seed_noise([version.tasks for version in versions])
        return judge.rate_noise(judge.noise([version.draws for version in versions], earlier), self.tasks)

    def judge(self, candidate: Version, incumbent: Version) -> judge.Decision:
        fresh = Version(candidate.p, candidate.draws[1:], candidate.tasks[1:])
        noise, by_seed = self.noise([fresh, incumbent]), judge.seed_noise([fresh.tasks, incumbent.tasks])
        error = judge.task_error(candidate.tasks, incumbent.tasks, by_seed[0] if by_seed else 0.0)
        beliefs = judge.learn(self.effects)
        rule, ours, theirs = judge.rule_for("default", METRIC), candidate.draws, incumbent.draws
        return judge.decide(rule, ours, theirs, noise, beliefs, metric=METRIC, task_error=error)


@dataclass
class ExactNight:
    """One night of a session whose number has no noise."""

    rng: np.random.Generator
    trials: int = 2
    keeps: list[bool] = field(default_factory=list)

    def propose(self, incumbent: int, points: float) -> int:
        value = incumbent - 1 if points else incumbent + int(self.rng.choice([0, 0, 1, 2, 3]))
        draws, action = list[Draw](), "run_again"
        while action == "run_again":
            self.trials += 1
            draws.append(Draw(float(value), self.trials))
            action = judge.decide_exact(draws, [Draw(float(incumbent), 0)], COUNT, 1.0).action
        if action == "keep":
            self.keeps.append(points > 0)
        return value if action == "keep" else incumbent


def simulate(make: Callable[[int], RateNight | ExactNight], nights: int, proposals: int, points: float) -> str:
    """Return a line of the table: keeps without effect, share of nights that keep the planted one, trials."""
    wrong, right, trials = [], [], []
    for seed in range(nights):
        night = make(seed)
        at = int(night.rng.integers(proposals)) if points else -1
        incumbent = night.base() if isinstance(night, RateNight) else 30
        for k in range(proposals):
            incumbent = night.propose(incumbent, points if k == at else 0.0)  # type: ignore[arg-type]
        wrong.append(night.keeps.count(False))
        right.append(any(night.keeps))
        trials.append(night.trials)
    found = f"{100 * np.mean(right):.0f} %" if points else "-"
    return f"{np.mean(wrong):.2f} | {found} | {np.mean(trials):.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("nights", 200), ("tasks", 60), ("proposals", 40), ("points", 8)):
        parser.add_argument(f"--{name}", type=int, default=value)
    options = parser.parse_args()
    print("| number | nights with | keeps without effect | the planted one is kept | trials |\n|---|---|---|---|---|")
    for points in (0, options.points):
        planted = f"+{points} points" if points else "no effect"
        for world in ("fixed", "sampled", "mixed"):
            make = lambda seed, world=world: RateNight(world, np.random.default_rng(seed), options.tasks)  # noqa: E731
            line = simulate(make, options.nights, options.proposals, points)
            print(f"| rate, {world} | {planted} | {line} |", flush=True)
        exact = simulate(
            lambda seed: ExactNight(np.random.default_rng(seed)), options.nights, options.proposals, points
        )
        print(f"| exact | {'one that is better by 1' if points else planted} | {exact} |", flush=True)


if __name__ == "__main__":
    main()
