"""Simulate sessions with and without pools of near misses, at the same number of trials.

    python benchmarks/pooling.py [--nights 200] [--trials 100] [--judge default] [--world "10 % good" ...]

The sessions are those of benchmarks/judge.py. Two changes conflict with a probability of 0.3. The effect of a pool is
the sum of the effects of its parts; with a probability of 0.2 its gains overlap, and only the largest of them counts.
A pool is measured and judged like another idea. Unit: one sigma, the spread of single trials.
"""

import argparse
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from judge import WORLDS, SimulatedSession

from autoresearch import judge
from autoresearch.session.pooling import MAX_PARTS, MIN_PARTS, MIN_PARTS_WITHOUT_AGENT

CONFLICT = 0.3  # probability that two changes touch the same lines, or the same constant
OVERLAP = 0.2  # probability that the gains in a pool do not add up
SHOWN = ("nothing works, nothing harms", "nothing works", "5 % good", "10 % good", "20 % good")


@dataclass
class NearMiss:
    n: int
    effect: float
    odds: float


@dataclass
class PoolingSession(SimulatedSession):
    """A session that measures pools of at least `least` discards whose odds are at least `odds`."""

    least: int = MIN_PARTS
    odds: float = 0.25
    near: list[NearMiss] = field(default_factory=list)
    tried: list[frozenset[int]] = field(default_factory=list)
    kept_pools: list[float] = field(default_factory=list)

    def _experiment(self, effect: float) -> None:
        if not self._measure(effect) and self.past[-1][1] >= self.odds:
            self.near.append(NearMiss(self.experiments, effect, self.past[-1][1]))
        while self.machine.spent < self.trials and len(pool := self._choose()) >= self.least:
            self._measure_pool(pool)

    def _measure(self, effect: float) -> bool:
        """Measure a candidate; return whether it was kept."""
        kept = len(self.effects)
        super()._experiment(effect)
        return len(self.effects) > kept

    def _measure_pool(self, pool: list[NearMiss]) -> None:
        share = judge.learn(self.past).share
        self.tried.append(frozenset(part.n for part in pool))
        effect = joint_effect(pool, random.Random(f"overlap {self.seed} {len(self.tried)}").random() < OVERLAP)
        if self._measure(effect):
            self.kept_pools.append(effect)
            self.near = [part for part in self.near if part not in pool]
            return
        updated = judge.update_parts([part.odds for part in pool], self.past[-1][1], share)
        for part, odds in zip(pool, updated, strict=True):
            part.odds = odds

    def _choose(self) -> list[NearMiss]:
        """Return the likeliest near misses that do not conflict; nothing if that set was measured."""
        chosen: list[NearMiss] = []
        for part in sorted(self.near, key=lambda part: -part.odds):
            if part.odds >= self.odds and not any(self._conflict(part, other) for other in chosen):
                chosen.append(part)
        numbers = {part.n for part in chosen[:MAX_PARTS]}
        return [] if any(numbers <= before for before in self.tried) else chosen[:MAX_PARTS]

    def _conflict(self, a: NearMiss, b: NearMiss) -> bool:
        return random.Random(f"conflict {self.seed} {sorted((a.n, b.n))}").random() < CONFLICT


def joint_effect(pool: Sequence[NearMiss], overlap: bool) -> float:
    """Return the effect of changes together; of gains that overlap only the largest counts."""
    gains, harms = ([bound(part.effect, 0.0) for part in pool] for bound in (min, max))
    return (min(gains) if overlap else sum(gains)) + sum(harms)


def night(options: argparse.Namespace, world: str, seed: int, least: int, odds: float) -> PoolingSession:
    session = PoolingSession(options.judge, WORLDS[world], seed, options.trials, least=least, odds=odds)
    session.run()
    return session


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=200)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--judge", default="default")
    parser.add_argument("--world", action="append", choices=SHOWN, help="only this world; may be given again")
    options = parser.parse_args()
    print(f"{options.nights} nights of {options.trials} trials, judge {options.judge}\n")
    print(
        "| world | pools | true gain | more than without | keeps | without effect | near misses left | pools | kept |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    never = 10**6
    kinds = {
        "none": (never, 0.25),
        f"of {MIN_PARTS}": (MIN_PARTS, 0.25),
        f"of {MIN_PARTS_WITHOUT_AGENT}": (MIN_PARTS_WITHOUT_AGENT, 0.25),
        f"of {MIN_PARTS}, odds from 5 %": (MIN_PARTS, 0.05),
    }
    for world in options.world or SHOWN:
        without: list[float] = []
        for name, kind in kinds.items():
            found = [night(options, world, seed, *kind) for seed in range(options.nights)]
            gains = [-each.truth for each in found]
            without = without or gains
            print_row([world, name], found, [a - b for a, b in zip(gains, without, strict=True)])


def print_row(names: list[str], found: list[PoolingSession], more: list[float]) -> None:
    means = {
        "keeps": fmean(len(each.effects) for each in found),
        "empty": fmean(sum(effect >= 0 for effect in each.effects) for each in found),
        "left": fmean(len(each.near) for each in found),
        "pools": fmean(len(each.tried) for each in found),
        "kept": fmean(len(each.kept_pools) for each in found),
    }
    gain = f"{fmean(-each.truth for each in found):.2f}"
    extra = f"{fmean(more):+.2f} ± {stdev(more) / math.sqrt(len(more)):.2f}"
    print(f"| {' | '.join([*names, gain, extra, *(f'{value:.2f}' for value in means.values())])} |", flush=True)


if __name__ == "__main__":
    main()
