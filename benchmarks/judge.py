"""Simulate sessions with a known truth, to compare decision rules.

    python benchmarks/judge.py [--nights 200] [--trials 100] [--only PART] [--plot FILE.svg]
    python benchmarks/judge.py --only campaign --scores h100-campaign.csv.gz [--plot FILE.svg]

A session has 100 trials, including replicates of the base, re-runs and trials of the incumbent. Ideas are drawn from
a world; a kept idea becomes the incumbent, and gains add up. At the end, base and final are measured five times each
on fresh draws, as `autoresearch total` does. Unit: one sigma, the spread of single trials.

With `--scores` the noise is that of a public campaign (burtenshaw/multiautoresearch, its `dag.seed.json` as columns
created_at, message, val_bpb): 11,153 runs of one configuration, in the order in which they ran.
"""

import argparse
import csv
import gzip
import io
import math
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from autoresearch import judge
from autoresearch.judge import Draw
from autoresearch.judge.rules import Rule

REPLICATES = 3
EVERY = 20  # trials after which the incumbent is measured again
TOTAL = 5  # fresh draws of base and final
EARLIER = (1.0, 8.0)  # sigma and degrees of freedom of earlier sessions on the machine
ONE_RERUN = "one re-run"  # keeps if one fresh re-run is better by a standard error: a rule that is often proposed
RULES = ("greedy", ONE_RERUN, "strict", "default")
BETTER = -0.000584  # bits per byte: FINAL_LR_FRAC=0.021 in the campaign, 30 runs against 11,153
FRONTIER = (0.2, 0.4, 0.6, 0.8, 0.9, 0.97)  # `certain` of the default rule


@dataclass(frozen=True)
class World:
    """Shares of good and harmful ideas (others have no effect), and the machine's noise.

    `step` is the sigma of a step of the machine's level in each trial, `chance` the probability of a jump to another
    level (with a sigma of 2). With `follows` every second idea builds on the last keep: good twice as often if that
    was a gain, never if it was luck.
    """

    good: float = 0.0
    harmful: float = 0.6
    tails: bool = False
    step: float = 0.0
    chance: float = 0.0
    hosts: bool = False
    follows: bool = False
    scores: tuple[float, ...] = ()  # in sigma, in order; replace the simulated noise


WORLDS = {
    "nothing works, nothing harms": World(harmful=0.0),
    "nothing works": World(),
    "5 % good": World(0.05),
    "10 % good": World(0.10),
    "20 % good": World(0.20),
    "10 % good, heavy tails": World(0.10, tails=True),
    "10 % good, drift": World(0.10, step=0.15),
    "10 % good, jumps": World(0.10, chance=0.15),
    "10 % good, two kinds of host": World(0.10, hosts=True),
    "10 % good, ideas follow keeps": World(0.10, follows=True),
    "nothing works, drift": World(step=0.15),
    "nothing works, jumps": World(chance=0.15),
    "nothing works, two kinds of host": World(hosts=True),
}
PLANTED = [(-4.0, -2.0)] * 6 + [(2.0, 4.0)] * 6 + [(0.0, 0.0)] * 28


class Machine:
    """Draw scores according to the world, and count trials."""

    def __init__(self, rng: random.Random, world: World) -> None:
        self.rng, self.world, self.level, self.spent = rng, world, 0.0, 0
        self.start = rng.randrange(max(1, len(world.scores)))
        self.slow = [rng.random() < 0.43 for _ in range(7)]  # seven workers, as in the public campaign

    def trial(self, truth: float) -> Draw:
        self.spent += 1
        if self.world.scores:
            return Draw(truth + self.world.scores[(self.start + self.spent) % len(self.world.scores)], self.spent)
        self.level += self.rng.gauss(0, self.world.step) if self.world.step else 0.0
        if self.world.chance and self.rng.random() < self.world.chance:
            self.level = self.rng.gauss(0, 2)
        return Draw(truth + self.level + self._noise(), self.spent)

    def _noise(self) -> float:
        if self.world.hosts:
            return self.rng.gauss(1.05, 0.32) if self.slow[self.spent % 7] else self.rng.gauss(-0.79, 0.46)
        if self.world.tails:  # Student's t with 3 degrees of freedom, scaled to a variance of 1
            return self.rng.gauss(0, 1) / math.sqrt(sum(self.rng.gauss(0, 1) ** 2 for _ in range(3)))
        return self.rng.gauss(0, 1)


@dataclass
class SimulatedSession:
    """One session with a simulated truth, which starts at 0."""

    rule: str
    world: World
    seed: int
    trials: int = 100
    truth: float = 0.0
    effects: list[float] = field(default_factory=list)  # of what was kept
    experiments: int = 0

    def run(self, plan: list[float] | None = None) -> "SimulatedSession":
        """Run until the trials or the ideas are used up."""
        self.machine = Machine(random.Random(f"machine {self.seed}"), self.world)
        self.incumbent = [self.machine.trial(0) for _ in range(1 if self.rule == "greedy" else REPLICATES)]
        self.lowest = self.first = self.incumbent[0].score
        self.versions: list[list[Draw]] = []
        self.past: list[tuple[float, float]] = []
        self.known = (0, 0), judge.noise([], EARLIER)
        for effect in plan if plan is not None else self._ideas(random.Random(f"ideas {self.seed}")):
            if self.machine.spent >= self.trials:
                break
            self._experiment(effect)
        return self

    def total(self) -> float:
        """Return final minus base, measured on fresh draws in turns."""
        return fmean(self.machine.trial(self.truth).score - self.machine.trial(0).score for _ in range(TOTAL))

    def _ideas(self, rng: random.Random) -> Iterator[float]:
        while True:
            good = self.world.good
            if self.world.follows and self.effects and rng.random() < 0.5:
                good = 2 * good if self.effects[-1] < 0 else 0.0
            u, gain, harm = rng.random(), rng.uniform(0.5, 4.0), rng.expovariate(1 / 3)
            yield -gain if u < good else harm if u < good + self.world.harmful else 0.0

    def _experiment(self, effect: float) -> None:
        while self.rule in ("default", "strict") and self._due():
            self.incumbent.append(self.machine.trial(self.truth))
        candidate = [self.machine.trial(self.truth + effect)]
        self.lowest = min(self.lowest, candidate[0].score)
        while (decision := self._decide(candidate)).action in ("run_again", "compare"):
            target, truth = (
                (self.incumbent, self.truth) if decision.action == "compare" else (candidate, self.truth + effect)
            )
            target.append(self.machine.trial(truth))
        self.experiments += 1
        self.past.append((decision.delta / self._noise().sigma, decision.p_gain))
        if decision.action == "keep":
            self.versions.append(self.incumbent)
            self.truth, self.incumbent = self.truth + effect, candidate[1:] or candidate
            self.effects.append(effect)
        else:
            self.versions.append(candidate[1:])

    def _due(self) -> bool:
        return len(self.incumbent) < REPLICATES or self.machine.spent - self.incumbent[-1].at >= EVERY

    def _noise(self) -> judge.Noise:
        groups = [*(draws for draws in self.versions if len(draws) > 1), self.incumbent]
        drawn = sum(map(len, groups)), len(groups)
        if drawn != self.known[0]:  # otherwise the last estimate still holds
            self.known = drawn, judge.noise(groups, EARLIER)
        return self.known[1]

    def _decide(self, candidate: list[Draw]) -> judge.Decision:
        if self.rule == ONE_RERUN:
            return one_rerun(candidate, self.incumbent)
        return judge.decide(self.rule, candidate, self.incumbent, self._noise(), judge.learn(self.past))


def one_rerun(candidate: list[Draw], incumbent: list[Draw]) -> judge.Decision:
    """Keep if one fresh re-run is better by a standard error; sigma is given."""
    delta = candidate[-1].score - fmean(draw.score for draw in incumbent)
    error = math.sqrt(1 + 1 / len(incumbent))
    if len(candidate) == 1 and delta < 0:
        return judge.Decision("run_again", "", delta, 0.5)
    return judge.Decision("keep" if len(candidate) == 2 and delta < -error else "discard", "", delta, 0.5)


@dataclass(frozen=True)
class Summary:
    """Means over nights, in sigma."""

    gain: float
    keeps: float
    empty: float  # keeps whose true effect is no gain
    experiments: float
    minimum: float  # gain according to the lowest score, minus the true gain
    total: float  # gain according to the fresh measurement, minus the true gain ...
    error: float  # ... and the standard error of that

    @classmethod
    def of(cls, nights: list[SimulatedSession]) -> "Summary":
        off = [night.truth - night.total() for night in nights]
        return cls(
            gain=fmean(-night.truth for night in nights),
            keeps=fmean(len(night.effects) for night in nights),
            empty=fmean(sum(effect >= 0 for effect in night.effects) for night in nights),
            experiments=fmean(night.experiments for night in nights),
            minimum=fmean(night.first - night.lowest + night.truth for night in nights),
            total=fmean(off),
            error=stdev(off) / math.sqrt(len(off)),
        )

    @property
    def share(self) -> float:
        return self.empty / self.keeps if self.keeps else 0.0


def nights(rule: str, world: World, count: int, trials: int) -> list[SimulatedSession]:
    """Simulate sessions; all rules get the same ideas for the same seed."""
    return [SimulatedSession(rule, world, seed, trials).run() for seed in range(count)]


def worlds(options: argparse.Namespace) -> None:
    header = "| world | rule | true gain | of greedy's | keeps | without effect | share | experiments "
    print(f"{header}| lowest score off by | total off by |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, world in WORLDS.items():
        greedy = None
        for rule in RULES:
            s = Summary.of(nights(rule, world, options.nights, options.trials))
            greedy = greedy or s
            share = f"{s.gain / greedy.gain:.0%}" if world.good else "-"
            row = f"{s.gain:.2f} | {share} | {s.keeps:.2f} | {s.empty:.2f} | {s.share:.0%} | {s.experiments:.0f}"
            print(f"| {name} | {rule} | {row} | {s.minimum:+.2f} | {s.total:+.3f} ± {s.error:.3f} |", flush=True)


def planted(options: argparse.Namespace) -> None:
    print("\n| rule | nights with at least 5 of 6 planted gains | gains | keeps without effect |\n|---|---|---|---|")
    for rule in RULES:
        found = []
        for seed in range(options.nights):
            rng = random.Random(f"plan {seed}")
            plan = [rng.uniform(*each) for each in PLANTED]
            rng.shuffle(plan)
            found.append(SimulatedSession(rule, World(), seed, options.trials).run(plan))
        gains = [sum(effect < 0 for effect in night.effects) for night in found]
        empty = fmean(sum(effect >= 0 for effect in night.effects) for night in found)
        print(f"| {rule} | {fmean(gain >= 5 for gain in gains):.0%} | {fmean(gains):.2f} | {empty:.2f} |", flush=True)


def null(options: argparse.Namespace) -> None:
    found = nights("default", WORLDS["nothing works"], options.nights, options.trials)
    keeps = [len(night.effects) for night in found]
    error = stdev(keeps) / math.sqrt(len(keeps))
    print(f"\n{len(keeps)} nights in which nothing works: {fmean(keeps):.3f} ± {error:.3f} keeps a night")


def total(options: argparse.Namespace) -> None:
    s = Summary.of(nights("default", WORLDS["10 % good"], options.nights, options.trials))
    off = f"the total is off by {s.total:+.3f} ± {s.error:.3f} sigma, the lowest score by {s.minimum:+.2f}"
    print(f"\n{options.nights} nights with 10 % good ideas: {off}")


def campaign(options: argparse.Namespace) -> None:
    """Place one known gain among ideas without effect: a lucky draw must not block it."""
    with gzip.open(options.scores, "rt") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["created_at"])
    same = [float(row["val_bpb"]) for row in rows if row["val_bpb"] and re.match(r"best64[ _]rep\d+", row["message"])]
    mean, sigma = fmean(same), stdev(same)
    world = World(harmful=0.0, scores=tuple((score - mean) / sigma for score in same))
    better = f"the better change: {BETTER / sigma:+.2f} sigma"
    print(f"\n{len(same)} runs of one configuration: mean {mean:.6f}, sigma {sigma:.6f}; {better}")
    print("\n| rule | the better change is found | keeps without effect | lowest score off by | total off by |")
    print("|---|---|---|---|---|")
    for rule in RULES:
        found = []
        for seed in range(options.nights):
            plan = [0.0] * 100
            plan[20 + seed % 30] = BETTER / sigma
            found.append(SimulatedSession(rule, world, seed, options.trials).run(plan))
        s, share = Summary.of(found), fmean(any(effect < 0 for effect in night.effects) for night in found)
        print(
            f"| {rule} | {share:.0%} | {s.empty:.2f} | {s.minimum:+.2f} | {s.total:+.3f} ± {s.error:.3f} |", flush=True
        )
    if options.plot:
        plot_campaign(options.plot, same)


def plot_campaign(path: Path, same: list[float]) -> None:
    """Plot the lowest score so far, greedy's threshold, and the mean so far, which is ours."""
    pyplot = plotter()
    runs = same[:2000]
    figure, axes = pyplot.subplots(figsize=(6, 3.4))
    axes.plot(
        range(0, len(runs), 8), runs[::8], ".", color="#aaaaaa", markersize=2, label="one run of the same configuration"
    )
    axes.plot([min(runs[: k + 1]) for k in range(len(runs))], color="#d9822b", label="lowest so far: greedy's bar")
    axes.plot([fmean(runs[: k + 1]) for k in range(len(runs))], color="#2a6fdb", label="mean so far: our bar")
    axes.axhline(fmean(same) + BETTER, color="#2b8a3e", linestyle="--", label="mean of the better change")
    axes.set(xlabel="runs", ylabel="val_bpb", ylim=(0.9625, 0.9655))
    axes.legend(frameon=False, fontsize=8, loc="upper right")
    save(figure, path)


def frontier(options: argparse.Namespace) -> None:
    """Vary the threshold of the default rule: true gain against keeps without effect."""
    chosen = judge.RULES["default"]
    assert chosen is not None
    points = {}
    header = "| certain | true gain, 10 % good | of greedy's | share without effect "
    print(f"\n{header}| keeps of a night in which nothing works |\n|---|---|---|---|---|")
    greedy = Summary.of(nights("greedy", WORLDS["10 % good"], options.nights, options.trials))
    for certain in FRONTIER:
        judge.RULES["default"] = Rule(chosen.promising, chosen.futile, certain, chosen.min_reruns, chosen.max_reruns)
        s = Summary.of(nights("default", WORLDS["10 % good"], options.nights, options.trials))
        nothing = Summary.of(nights("default", WORLDS["nothing works"], options.nights, options.trials))
        points[certain] = (s.share, s.gain / greedy.gain)
        print(
            f"| {certain} | {s.gain:.2f} | {s.gain / greedy.gain:.0%} | {s.share:.0%} | {nothing.keeps:.2f} |",
            flush=True,
        )
    judge.RULES["default"] = chosen
    if options.plot:
        others = {rule: Summary.of(nights(rule, WORLDS["10 % good"], options.nights, options.trials)) for rule in RULES}
        plot(options.plot, points, {rule: (s.share, s.gain / greedy.gain) for rule, s in others.items()})


def plot(path: Path, points: dict[float, tuple[float, float]], others: dict[str, tuple[float, float]]) -> None:
    pyplot = plotter()
    figure, axes = pyplot.subplots(figsize=(6, 3.6))
    axes.plot(
        *zip(*points.values(), strict=True), "-o", color="#2a6fdb", markersize=4, label="default rule, by threshold"
    )
    for certain, point in points.items():
        axes.annotate(f"{certain:g}", point, textcoords="offset points", xytext=(4, -11), fontsize=7, color="#2a6fdb")
    for rule, point in others.items():
        axes.plot(*point, "s", color="#d9822b", markersize=6)
        axes.annotate(rule, point, textcoords="offset points", xytext=(6, 5), fontsize=9)
    axes.set(xlabel="share of keeps without effect", ylabel="true gain, of greedy's", ylim=(0, 1.1), xlim=(0, 0.6))
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    save(figure, path)


def plotter() -> Any:
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "judge"
    from matplotlib import pyplot

    return pyplot


def save(figure: Any, path: Path) -> None:
    figure.tight_layout()
    text = io.StringIO()
    figure.savefig(text, metadata=dict.fromkeys(["Creator", "Date", "Format", "Type"]))
    path.write_text(text.getvalue()[text.getvalue().index("<svg") :])  # without the document type, which has a URL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--only", choices=["null", "worlds", "planted", "total", "frontier", "campaign"])
    parser.add_argument("--plot", type=Path, help="picture of the frontier; needs matplotlib")
    parser.add_argument("--scores", type=Path, help="the campaign's runs, as .csv.gz")
    options = parser.parse_args()
    for part in (worlds, planted, null, total, frontier, *([campaign] if options.scores else [])):
        if options.only in (None, part.__name__):
            part(options)


if __name__ == "__main__":
    main()
