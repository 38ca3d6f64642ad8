"""Simulate sessions with a known truth, to compare decision rules.

    python benchmarks/judge.py [--nights 200] [--trials 100] [--only PART] [--plot FILE.svg] [--stop-share 0.4]
        [--world NAME ...] [--rule NAME ...]
    python benchmarks/judge.py --only campaign --scores h100-campaign.csv.gz [--plot FILE.svg]

A session has 100 trials, including replicates of the base, re-runs and trials of the incumbent. Ideas are drawn from
a world; a kept idea becomes the incumbent, and gains add up. At the end, base and final are measured five times each
on fresh draws, as `autoresearch total` does. Unit: one sigma, the spread of single trials. The rule "before" is that of
threshold_rule.py. With `--stop-share`, a screening whose odds of a gain are under 2 % costs this share of a trial where
the rule is "default" or "strict", as if it had been stopped early by a predictor without errors.

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
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import threshold_rule

from autoresearch import judge
from autoresearch.judge import Draw, Incumbent
from autoresearch.judge.changing_noise import Squares, newest_noise

REPLICATES = 3  # of the base
P_STOPPED = 0.02  # odds of a gain below which a screening may be stopped early
TOTAL = 5  # fresh draws of base and final
EARLIER = (1.0, 8.0)  # sigma and degrees of freedom of earlier sessions on the machine
ONE_RERUN = "one re-run"  # keeps if one fresh re-run is better by a standard error: a rule that is often proposed
BEFORE = "before"
OURS = ("default", "strict", "one noise")
ONE_NOISE = "one noise"  # the default, with one sigma for all versions
RULES = ("greedy", ONE_RERUN, BEFORE, "strict", "default", ONE_NOISE)
BETTER = -0.000584  # bits per byte: FINAL_LR_FRAC=0.021 in the campaign, 30 runs against 11,153
FRONTIER_BEFORE = (0.2, 0.4, 0.6, 0.8, 0.9)  # probability of a gain that the rule before needs for a keep
FRONTIER = (0.5, 1.0, 2.0, 4.0, 8.0)  # cost of a wrong keep in sigma under the default rule
COLOURS = ("#9ec1f5", "#2a6fdb", "#f0c08f", "#d9822b")


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
    shared: float = 0.0  # part of the noise's variance that comes from the seed, for all versions alike
    calms: float = 1.0  # factor of the noise, and of later effects, with each gain that is kept
    fillers: int = 0  # trials of each new incumbent, in time that would be lost
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
    "10 % good, half the noise is the seed's": World(0.10, shared=0.5),
    "10 % good, the noise falls": World(0.10, calms=0.4, fillers=6),
    "10 % good, the noise rises": World(0.10, calms=1.5),
    "nothing works, drift": World(step=0.15),
    "nothing works, jumps": World(chance=0.15),
    "nothing works, two kinds of host": World(hosts=True),
}
PLANTED = [(-4.0, -2.0)] * 6 + [(2.0, 4.0)] * 6 + [(0.0, 0.0)] * 28


class Machine:
    """Draw scores according to the world, and count trials."""

    def __init__(self, rng: random.Random, world: World) -> None:
        self.rng, self.world, self.level = rng, world, 0.0
        self.count, self.spent = 0, 0.0  # trials, and their time in whole trials
        self.start = rng.randrange(max(1, len(world.scores)))
        self.slow = [rng.random() < 0.43 for _ in range(7)]  # seven workers, as in the public campaign

    def trial(self, truth: float, seed: int | None = None, spread: float = 1.0) -> Draw:
        self.count += 1
        self.spent += 1
        seed = self.count if seed is None else seed
        return Draw(truth + spread * self._noise(seed), self.count, seed)

    def _noise(self, seed: int) -> float:
        world = self.world
        if world.scores:
            return world.scores[(self.start + self.count) % len(world.scores)]
        self.level += self.rng.gauss(0, world.step) if world.step else 0.0
        if world.chance and self.rng.random() < world.chance:
            self.level = self.rng.gauss(0, 2)
        luck = random.Random(f"luck {seed} {self.start} {self.slow}").gauss(0, 1) if world.shared else 0.0
        return self.level + math.sqrt(world.shared) * luck + math.sqrt(1 - world.shared) * self._trial_noise()

    def _trial_noise(self) -> float:
        if self.world.hosts:
            return self.rng.gauss(1.05, 0.32) if self.slow[self.count % 7] else self.rng.gauss(-0.79, 0.46)
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
    stop_share: float = 1.0  # of a trial's time, which a screening costs that is stopped early
    certain: float = threshold_rule.CERTAIN  # of the rule before
    truth: float = 0.0
    effects: list[float] = field(default_factory=list)  # of what was kept
    experiments: int = 0

    def run(self, plan: list[float] | None = None) -> "SimulatedSession":
        """Run until the trials or the ideas are used up."""
        self.machine = Machine(random.Random(f"machine {self.seed}"), self.world)
        self.incumbent = [self.machine.trial(0) for _ in range(1 if self.rule == "greedy" else REPLICATES)]
        self.lowest = self.first = self.incumbent[0].score
        self.candidates: list[list[Draw]] = []  # of the incumbent
        self.known_as = Incumbent(self.incumbent, candidates=self.candidates)
        self.versions: list[list[Draw]] = []
        self.spread = 1.0  # of the incumbent's trials
        self.ancestors: list[Squares] = []
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
        while self.rule == BEFORE and threshold_rule.is_due(self.incumbent, self.machine.count):
            self.incumbent.append(self.machine.trial(self.truth))
        spread = self.spread * (self.world.calms if effect < 0 else 1.0)
        truth = self.truth + effect * self.spread
        candidate = [self.machine.trial(truth, self._seed_of_screening(), spread)]
        self.lowest = min(self.lowest, candidate[0].score)
        beside = 0  # trials of the incumbent beside the candidate; each has the seed of a re-run
        while (decision := self._decide(candidate)).action in ("run_again", "compare"):
            if decision.action == "compare":
                beside += 1
                seed = candidate[beside].seed if beside < len(candidate) else None
                self.incumbent.append(self.machine.trial(self.truth, seed, self.spread))
            else:
                candidate.append(self.machine.trial(truth, None, spread))
        self.experiments += 1
        self.past.append((decision.delta / self._noise(candidate).sigma, decision.p_gain))
        if decision.action == "keep":
            self._keep(effect, candidate)
            self.truth, self.spread = truth, spread
            self._fill()
        else:
            self._discard(candidate, decision)

    def _keep(self, effect: float, candidate: list[Draw]) -> None:
        self.versions.append(self.incumbent)
        self.ancestors.append(self._squares())
        self.incumbent, self.candidates = list(candidate[1:] or candidate), []
        self.known_as = Incumbent(self.incumbent, candidate[:1], self.candidates, self.known_as)
        self.effects.append(effect)

    def _fill(self) -> None:
        """Measure the new incumbent again, in time that would be lost."""
        for _ in range(self.world.fillers):
            self.incumbent.append(self.machine.trial(self.truth, None, self.spread))
            self.machine.spent -= 1

    def _discard(self, candidate: list[Draw], decision: judge.Decision) -> None:
        self.versions.append(candidate[1:])
        self.candidates.append(candidate)
        if self.rule in OURS and len(candidate) == 1 and decision.p_gain < P_STOPPED:
            self.machine.spent -= 1 - self.stop_share

    def _seed_of_screening(self) -> int | None:
        """Return the seed of one of the incumbent's trials in turn, where the rule pairs them."""
        paired = self.world.shared and self.rule in OURS
        return self.incumbent[self.experiments % len(self.incumbent)].seed if paired else None

    def _squares(self, candidate: Sequence[Draw] = ()) -> Squares:
        """Return the scatter of the incumbent's trials and of its candidates'."""
        return Squares.of([self.incumbent, candidate[1:], *(draws[1:] for draws in self.candidates)])

    def _noise(self, candidate: Sequence[Draw] = ()) -> judge.Noise:
        """Return the noise of the incumbent and a candidate."""
        if self.rule in (BEFORE, ONE_NOISE):
            return self._pooled_noise()
        return newest_noise(self._pooled_noise(), [*self.ancestors, self._squares(candidate)])

    def _known(self, noise: judge.Noise, beliefs: judge.Beliefs) -> Sequence[Draw]:
        """Return what is known of the incumbent's level."""
        if self.rule != ONE_NOISE and self.ancestors:
            before = newest_noise(self._pooled_noise(), self.ancestors).sigma
            parent = replace(self.known_as.parent, spread=before / noise.sigma)
            return replace(self.known_as, parent=parent).with_summary(noise, beliefs)
        return self.known_as.with_summary(noise, beliefs)

    def _pooled_noise(self) -> judge.Noise:
        groups = [*(draws for draws in self.versions if len(draws) > 1), self.incumbent]
        drawn = sum(map(len, groups)), len(groups)
        if drawn != self.known[0]:  # otherwise the last estimate still holds
            self.known = drawn, judge.noise(groups, EARLIER)
        return self.known[1]

    def _decide(self, candidate: list[Draw]) -> judge.Decision:
        if self.rule == ONE_RERUN:
            return one_rerun(candidate, self.incumbent)
        noise, beliefs = self._noise(candidate), judge.learn(self.past)
        if self.rule == BEFORE:
            return threshold_rule.decide(candidate, self.incumbent, noise, beliefs, self.certain)
        if self.rule == "greedy":
            return judge.decide(self.rule, candidate, self.incumbent, noise, beliefs)
        rule = "default" if self.rule == ONE_NOISE else self.rule
        return judge.decide(rule, candidate, self._known(noise, beliefs), noise, beliefs)


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


def nights(rule: str, world: World, options: argparse.Namespace) -> list[SimulatedSession]:
    """Simulate sessions; all rules get the same ideas for the same seed."""
    found = (SimulatedSession(rule, world, seed, options.trials, options.stop_share) for seed in range(options.nights))
    return [session.run() for session in found]


def worlds(options: argparse.Namespace) -> None:
    header = "| world | rule | true gain | of greedy's | keeps | without effect | share | experiments "
    print(f"{header}| lowest score off by | total off by |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, world in WORLDS.items():
        greedy = None
        for rule in options.rule or RULES if name in (options.world or WORLDS) else ():
            s = Summary.of(nights(rule, world, options))
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
    found = nights("default", WORLDS["nothing works"], options)
    keeps = [len(night.effects) for night in found]
    error = stdev(keeps) / math.sqrt(len(keeps))
    print(f"\n{len(keeps)} nights in which nothing works: {fmean(keeps):.3f} ± {error:.3f} keeps a night")


def total(options: argparse.Namespace) -> None:
    s = Summary.of(nights("default", WORLDS["10 % good"], options))
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
    """Vary the rule before by its threshold, and the default rule by its cost of a wrong keep."""
    print(
        "\n| world | rule | true gain | of greedy's | share without effect | keeps of a night in which nothing works |"
    )
    print("|---|---|---|---|---|---|")
    curves: dict[str, dict[str, tuple[float, float]]] = {}
    for name in ("5 % good", "10 % good"):
        greedy = Summary.of(nights("greedy", WORLDS[name], options))
        for rule, values in ((BEFORE, FRONTIER_BEFORE), ("default", FRONTIER)):
            for value in values:
                s, nothing = (vary(rule, value, WORLDS[world], options) for world in (name, "nothing works"))
                curves.setdefault(f"{rule}, {name}", {})[f"{value:g}"] = s.share, s.gain / greedy.gain
                row = f"{s.gain:.2f} | {s.gain / greedy.gain:.0%} | {s.share:.0%} | {nothing.keeps:.2f}"
                print(f"| {name} | {rule}, {value:g} | {row} |", flush=True)
    if options.plot:
        plot(options.plot, curves)


def vary(rule: str, value: float, world: World, options: argparse.Namespace) -> Summary:
    """Simulate a rule with another threshold (`certain`) or another cost of a wrong keep."""
    chosen = judge.RULES["default"]
    assert chosen is not None
    judge.RULES["default"] = replace(chosen, wrong_keep=value) if rule == "default" else chosen
    sessions = (
        SimulatedSession(rule, world, seed, options.trials, options.stop_share, value) for seed in range(options.nights)
    )
    found = Summary.of([session.run() for session in sessions])
    judge.RULES["default"] = chosen
    return found


def plot(path: Path, curves: dict[str, dict[str, tuple[float, float]]]) -> None:
    pyplot = plotter()
    figure, axes = pyplot.subplots(figsize=(6, 3.6))
    for (name, points), colour, style in zip(curves.items(), COLOURS, ("--o", "-o") * 2, strict=True):
        axes.plot(*zip(*points.values(), strict=True), style, color=colour, markersize=4, label=name)
        for value, point in points.items():
            axes.annotate(value, point, textcoords="offset points", xytext=(4, -11), fontsize=7, color=colour)
    axes.set(xlabel="share of keeps without effect", ylabel="true gain, of greedy's", ylim=(0, 1.3), xlim=(0, 0.6))
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
    parser.add_argument("--stop-share", type=float, default=1.0, help="of a trial's time, for a lost screening")
    parser.add_argument("--only", choices=["null", "worlds", "planted", "total", "frontier", "campaign"])
    parser.add_argument("--world", action="append", choices=WORLDS, help="of the part worlds, all without it")
    parser.add_argument("--rule", action="append", choices=RULES, help="likewise; the first one is the measure")
    parser.add_argument("--plot", type=Path, help="picture of the frontier; needs matplotlib")
    parser.add_argument("--scores", type=Path, help="the campaign's runs, as .csv.gz")
    options = parser.parse_args()
    for part in (worlds, planted, null, total, frontier, *([campaign] if options.scores else [])):
        if options.only in (None, part.__name__):
            part(options)


if __name__ == "__main__":
    main()
