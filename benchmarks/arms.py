"""Simulate nights of several arms, to compare rules of allocation.

    python benchmarks/arms.py [--nights 1000] [--budget 100] [--only worlds|variants|judged|equals]

A proposal of an arm gains with the arm's rate; sizes are exponential, in sigmas of one trial. A night ends when its
budget is spent, in units of one cheap proposal. All rules meet the same luck: the k-th proposal of an arm is the same
in each of them. The judge credits a gain with an error of 0.7 sigma, and credits 1.5 sigma to 0.4 % of what is no gain
(about what it keeps in nights in which nothing works). Only true gains count.

"informed" knows the arms, but not which one is which, and takes the one that is the best with the highest probability
times value: a bound on what can be learned in such a night. "known" always takes the best arm of that moment.
"""

import argparse
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from judge import SimulatedSession, World

from autoresearch.judge import allocation, arm_comparison
from autoresearch.judge.allocation import ArmRecord, ArmSums
from autoresearch.judge.noise import Array

CREDIT_ERROR, FALSE_GAIN, FALSE_SHARE = 0.7, 1.5, 0.004
BAR = 0.9  # of the gain of the best single arm
VARIANTS: dict[str, dict[str, float]] = {
    "as built": {},
    "half the warm-up, half the floor": {"WARM_UP": 10, "FLOOR": 0.1},
    "no floor": {"FLOOR": 0.0},
    "no plateau": {"PLATEAU_VERDICTS": 10**9},
    "plateau 15": {"PLATEAU_VERDICTS": 15},
    "plateau 25": {"PLATEAU_VERDICTS": 25},
    "plateau 30": {"PLATEAU_VERDICTS": 30},
    "no discount": {"DISCOUNT": 1.0},
    "discount 0.95": {"DISCOUNT": 0.95},
}
EACH_ARM = {"WARM_UP": 10, "FLOOR": 0.1}  # times the number of arms: 10 proposals and 10 % for each


@dataclass(frozen=True)
class Arm:
    """Keep rate, mean size of gains in sigma, and cost of a proposal; when the rate changes.

    After `left` gains nothing is left; each gain multiplies the rate by `fade`; nothing is gained before proposal
    `starts` of the night.
    """

    rate: float
    size: float = 2.0
    cost: float = 1.0
    left: float = np.inf
    fade: float = 1.0
    starts: int = 0


WORLDS = {
    "one of two is useless": (Arm(0.1), Arm(0.0)),
    "one keeps twice as often": (Arm(0.1), Arm(0.05)),
    "one keeps four times as often": (Arm(0.2), Arm(0.05)),
    "one has gains of three times the size": (Arm(0.1, 3.0), Arm(0.1, 1.0)),
    "one costs three times as much": (Arm(0.1), Arm(0.1, cost=3.0)),
    "the dear one is better": (Arm(0.05), Arm(0.15, cost=2.0)),
    "two of three are useless": (Arm(0.15), Arm(0.0), Arm(0.0)),
    "four, one is best": (Arm(0.15), Arm(0.05), Arm(0.05), Arm(0.0)),
    "two equal": (Arm(0.1), Arm(0.1)),
    "three equal": (Arm(0.1), Arm(0.1), Arm(0.1)),
    "each ends after some gains": (Arm(0.2, left=3), Arm(0.1, left=4)),
    "the same, and a useless one": (Arm(0.2, left=3), Arm(0.1, left=4), Arm(0.0)),
    "gains get rarer": (Arm(0.2, fade=0.7), Arm(0.15, fade=0.7)),
    "the better one starts late": (Arm(0.08), Arm(0.25, starts=40)),
    "nothing works": (Arm(0.0), Arm(0.0)),
}


class Nights:
    """Many nights with the same arms at once; arrays are [nights, arms]."""

    def __init__(self, arms: tuple[Arm, ...], count: int, budget: float, seed: int = 0) -> None:
        self.arms, self.count, self.budget = arms, count, budget
        self.length = int(np.ceil(budget / min(arm.cost for arm in arms)))
        shape, luck = (count, len(arms), self.length), np.random.default_rng(seed)
        self.luck, self.sizes = luck.random(shape), luck.exponential(1.0, shape)
        self.errors, self.false = luck.normal(0.0, CREDIT_ERROR, shape), luck.random(shape) < FALSE_SHARE
        self.cost = np.array([arm.cost for arm in arms])
        self.rng = np.random.default_rng(seed + 1)

    def run(self, rule: "Rule") -> Array:
        """Return the true gain of each night."""
        self.sums = ArmSums.of_nothing((self.count, len(self.arms)))
        self.found, spent, total = np.zeros_like(self.sums.given), np.zeros(self.count), np.zeros(self.count)
        self.hits, self.hit_size = np.zeros_like(self.found), np.zeros_like(self.found)
        for at in range(self.length):
            self.at = at
            arm, going = np.asarray(rule(self)), spent < self.budget - 1e-9
            gain, credit = self._propose(arm)
            total += gain * going
            spent += self.cost[arm] * going
            where = np.zeros_like(self.found)
            where[np.arange(self.count), arm] = 1.0
            self.sums = self.sums.add(where, credit[:, None], self.cost[arm][:, None])
            self.hits += where * (credit > 0)[:, None]
            self.hit_size += where * credit[:, None]
        return total

    def _propose(self, arm: Array) -> tuple[Array, Array]:
        """Return the true and the credited gain of the next proposal of an arm in each night."""
        night = np.arange(self.count)
        k = night, arm, np.minimum(self.sums.given[night, arm].astype(int), self.length - 1)
        hit = self.luck[k] < self.rates()[night, arm]
        size = np.array([each.size for each in self.arms])[arm]
        gain = np.where(hit, size * self.sizes[k], 0.0)
        self.found[night, arm] += hit
        return gain, np.where(hit, np.maximum(gain + self.errors[k], 0.1), np.where(self.false[k], FALSE_GAIN, 0.0))

    def rates(self) -> Array:
        """Return the present keep rate of each arm."""
        columns = [
            arm.rate * arm.fade ** self.found[:, k] * (self.found[:, k] < arm.left) * (self.at >= arm.starts)
            for k, arm in enumerate(self.arms)
        ]
        return np.stack(columns, axis=1)


Rule = Callable[[Nights], Array]


def equal(nights: Nights) -> Array:
    return np.asarray(nights.sums.given.argmin(axis=1))


def known(nights: Nights) -> Array:
    return np.asarray((nights.rates() * [arm.size / arm.cost for arm in nights.arms]).argmax(axis=1))


def single(k: int) -> Rule:
    return lambda nights: np.full(nights.count, k)


def built(nights: Nights) -> Array:
    return np.asarray(allocation.choose(nights.sums, nights.rng))


def informed(nights: Nights) -> Array:
    """Weigh each order of the arms by the credits so far; costs are seen, so arms of other costs are told apart."""
    tries, hits, sizes = nights.sums.given, nights.hits, nights.hit_size
    orders = [
        order
        for order in itertools.permutations(nights.arms)
        if all(each.cost == arm.cost for each, arm in zip(order, nights.arms, strict=True))
    ]
    rate = np.array([[each.rate + (1 - each.rate) * FALSE_SHARE for each in order] for order in orders])
    size = np.array([[each.size for each in order] for order in orders])
    # A sum of sizes is gamma distributed; credited noise is left out.
    logs = hits[:, None] * (np.log(rate) - np.log(size)) + (tries - hits)[:, None] * np.log1p(-rate)
    weights = logs.sum(axis=2) - (sizes[:, None] / size).sum(axis=2)
    odds = np.exp(weights - weights.max(axis=1, keepdims=True))
    value = np.array([[each.rate * each.size / each.cost for each in order] for order in orders])
    return np.asarray((odds @ value).argmax(axis=1))


def ratio(ours: Array, best: Array) -> str:
    """Return the ratio of two mean gains with its 95 % interval, by the delta method over nights."""
    found = ours.mean() / best.mean()
    error = 1.96 * (ours - found * best).std() / np.sqrt(len(ours)) / best.mean()
    return f"{found:.2f} ± {error:.2f}"


def is_steady(arms: tuple[Arm, ...]) -> bool:
    return all(arm.left == np.inf and arm.fade == 1 and not arm.starts for arm in arms)


def worlds(options: argparse.Namespace) -> None:
    print("| world | best single arm, sigma | as built | equal shares | informed | known | bar |")
    print("|---|---|---|---|---|---|---|")
    for name, arms in WORLDS.items():
        nights = Nights(arms, options.nights, options.budget)
        best = max((nights.run(single(k)) for k in range(len(arms))), key=np.mean)
        ours = nights.run(built)
        if not best.any():
            print(f"| {name} | 0 | - | - | - | - | met |", flush=True)
            continue
        bound = ratio(nights.run(informed), best) if is_steady(arms) else "-"
        others = f"{ratio(nights.run(equal), best)} | {bound} | {ratio(nights.run(known), best)}"
        bar = 1.0 if any(arm.left < np.inf or arm.fade < 1 for arm in arms) else BAR
        verdict = "met" if ours.mean() >= bar * best.mean() else "**missed**"
        print(f"| {name} | {best.mean():.1f} | {ratio(ours, best)} | {others} | {verdict} |", flush=True)


def variants(options: argparse.Namespace) -> None:
    found: dict[str, list[float]] = {name: [] for name in (*VARIANTS, "10 and 10 % for each arm")}
    print(f"\n| world | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
    for world, arms in WORLDS.items():
        nights = Nights(arms, options.nights, options.budget)
        best = max(nights.run(single(k)).mean() for k in range(len(arms)))
        each_arm = {name: value * len(arms) for name, value in EACH_ARM.items()}
        for name, values in found.items() if best else ():
            values.append(run_variant(nights, VARIANTS.get(name, each_arm)) / best)
        if best:
            print(f"| {world} | {' | '.join(f'{each[-1]:.2f}' for each in found.values())} |", flush=True)
    for word, sum_up in (("mean", np.mean), ("least", np.min)):
        print(f"| {word} | {' | '.join(f'{sum_up(each):.2f}' for each in found.values())} |")


def run_variant(nights: Nights, values: dict[str, float]) -> float:
    """Return the mean gain with other constants of the rule."""
    before = {name: getattr(allocation, name) for name in values}
    try:
        for name, value in values.items():
            setattr(allocation, name, value)
        return float(nights.run(built).mean())
    finally:
        for name, value in before.items():
            setattr(allocation, name, value)


class JudgedSession(SimulatedSession):
    """A night of judge.py whose ideas come from arms: the rule sees what the judge credits, and the trials it took."""

    def night(self, goods: tuple[float, ...], choose: Callable[[list[ArmRecord], int], int]) -> float:
        """Return the true gain; the arms differ in the share of good ideas."""
        self.run([])
        ideas = [World(good=good) for good in goods]
        luck = [random.Random(f"arm {k} {self.seed}") for k in range(len(goods))]
        records = [ArmRecord(str(k), (), ()) for k in range(len(goods))]
        while self.machine.spent < self.trials:
            arm = choose(records, self.seed * 1000 + self.experiments)
            kept, spent, self.world = len(self.effects), self.machine.spent, ideas[arm]
            self._experiment(next(self._ideas(luck[arm])))
            gain = max(-self.past[-1][0], 0.0) if len(self.effects) > kept else 0.0
            before, cost = records[arm], self.machine.spent - spent
            records[arm] = ArmRecord(before.name, (*before.gains, gain), (*before.costs, cost))
        return -self.truth


def judged(options: argparse.Namespace) -> None:
    """Repeat two worlds with the judge itself, in nights of 100 trials."""
    print("\n| good ideas of the arms | best single arm, sigma | as built | equal shares |\n|---|---|---|---|")
    rules: dict[str, Callable[[list[ArmRecord], int], int]] = {
        "best": lambda records, seed: 0,
        "built": lambda records, seed: int(allocation.choose_arm(records, seed)),
        "equal": lambda records, seed: sum(len(record.gains) for record in records) % len(records),
    }
    for goods in ((0.1, 0.0), (0.2, 0.05), (0.1, 0.1)):
        seeds = range(options.judged_nights)
        found = {
            name: np.array([JudgedSession("default", World(), seed).night(goods, rule) for seed in seeds])
            for name, rule in rules.items()
        }
        shares = " | ".join(ratio(found[name], found["best"]) for name in ("built", "equal"))
        print(
            f"| {' and '.join(f'{good:.0%}' for good in goods)} | {found['best'].mean():.1f} | {shares} |", flush=True
        )


def equals(options: argparse.Namespace) -> None:
    """Compare two equal arms, at once and after each of ten nights, and two that differ."""
    rng = np.random.default_rng(0)
    print("\n| keep rate | proposals of each | equal arms: a winner is named | 4 times the rate: the better is named |")
    print("|---|---|---|---|")
    for rate, proposals in itertools.product((0.03, 0.1, 0.2), (20, 50, 150)):
        a, b, c = (tally(proposals, each, rng, options.nights) for each in (rate, rate, 4 * rate))
        print(f"| {rate:.0%} | {proposals} | {named(a, b).mean():.1%} | {named(c, a).mean():.0%} |", flush=True)
    ever = np.zeros(options.nights, dtype=bool)
    a, b = (tally(40, 0.1, rng, options.nights) for _ in range(2))
    for _ in range(10):
        ever |= named(a, b)
        a, b = (each + tally(40, 0.1, rng, options.nights) for each in (a, b))
    print(f"\nWith a look after each of ten nights, a winner is named among equal arms in {ever.mean():.1%} of them.")
    rates = (0.03, 0.1, 0.2)
    print(f"\n| proposals of each arm | {' | '.join(f'keep rate {rate:.0%}' for rate in rates)} |")
    print("|---|---|---|---|")
    for proposals in (20, 47, 100, 200, 400):
        ratios = [arm_comparison.smallest_ratio(proposals, rate) for rate in rates]
        print(f"| {proposals} | {' | '.join('-' if each is None else f'{each:.1f}' for each in ratios)} |", flush=True)


def tally(proposals: int, rate: float, rng: np.random.Generator, count: int) -> arm_comparison.GainTally:
    """Draw nights of an arm; sizes are lognormal, so that their tails are heavier than the model's."""
    gains = rng.binomial(proposals, rate, count)
    sums = np.array([rng.lognormal(0.0, 1.0, each).sum() for each in gains])
    return arm_comparison.GainTally(np.full(count, float(proposals)), gains.astype(float), sums)


def named(a: arm_comparison.GainTally, b: arm_comparison.GainTally) -> Array:
    """Return in which nights one of two arms is called better."""
    odds = [arm_comparison.p_better(*pair, draws=400) for pair in ((a, b), (b, a))]
    return np.asarray(np.maximum(*odds) >= arm_comparison.SETTLED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=1000)
    parser.add_argument("--judged-nights", type=int, default=60, help="with the judge itself, which takes longer")
    parser.add_argument("--budget", type=float, default=100.0, help="of a night, in cheap proposals")
    parser.add_argument("--only", choices=["worlds", "variants", "judged", "equals"])
    options = parser.parse_args()
    for part in (worlds, variants, judged, equals):
        if options.only in (None, part.__name__):
            part(options)


if __name__ == "__main__":
    main()
