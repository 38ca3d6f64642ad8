"""Simulate sessions that climb, and sessions with an archive of parents, on landscapes with a known truth.

    python benchmarks/archive.py [--nights 60] [--trials 120] [--landscape NAME ...]

Judge, machine and unit (one sigma of a single trial) are those of benchmarks/judge.py; the judge knows that the machine
is steady. Trials of the base, re-runs, trials of the incumbent and parents that are measured again all count, so both
policies get the same number of trials. The rule of the archive is that of `autoresearch/judge/archive.py`. While the
incumbent is exhausted, near misses are combined by two and more, as `session/pooling.py` does. A keep is false if its
true value is not better than that of the version before it.

Assumptions, which a real session need not meet:

- An agent is blind: each proposal adds one of 300 ideas to its parent, drawn with equal odds from those that the parent
  does not have; a version is never proposed twice. It reads no results, so it neither avoids the ideas that failed
  elsewhere nor returns to those that were promising.
- An idea changes the length of the code by -10 to +30 tokens, which has nothing to do with its value.
- Changes never conflict.
- additive: 10 % of the ideas gain 0.5 to 4 sigma, 60 % harm by 3 sigma on average, the rest does nothing. Effects add
  up.
- interacting: the same, and one in three pairs of ideas has an effect of its own (standard deviation 1 sigma).
- plateau: 1 % of the ideas gain 0.5 to 4 sigma. 5 % open a door: each costs up to 1 sigma, and beside any of them 12 %
  of the ideas gain 1 to 5 sigma, which do nothing or harm without one.
- null: 60 % of the ideas harm, none gains.
- recorded: effects are those that the recorded session of a language model measured (tests/fixtures/recorded-night) for
  an incumbent after as many keeps as the parent has gains, at most 8 sigma. A measured effect contains noise, so this
  landscape has more small gains than that session had.
"""

import argparse
import lzma
import math
import random
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
from judge import SimulatedSession, World

from autoresearch import judge
from autoresearch.judge import MEASURE_EVERY, PLATEAU_PROPOSALS, Archive, ArchivedVersion, Draw
from autoresearch.ledger.statements import is_near_miss
from autoresearch.session.fillers import MAX_DRAWS
from autoresearch.session.pooling import MAX_PARTS, MIN_PARTS_WITHOUT_AGENT

IDEAS = 300
DOORS, BEHIND = 15, 36  # ideas of a plateau that open a door, and that gain behind it
MAX_RECORDED_SIGMA = 8.0
RECORDED = Path(__file__).resolve().parents[1] / "tests" / "fixtures" / "recorded-night" / "ledger.sql.xz"
Ideas = tuple[int, ...]
Value = Callable[[Ideas], float]


def usual_effects(rng: random.Random, good: float) -> list[float]:
    """Return the effect of each idea, where a share is good and 60 % harm."""

    def draw() -> float:
        u, gain, harm = rng.random(), rng.uniform(0.5, 4.0), rng.expovariate(1 / 3)
        return -gain if u < good else harm if u < good + 0.6 else 0.0

    return [draw() for _ in range(IDEAS)]


def additive(seed: int, good: float = 0.1) -> Value:
    effects = usual_effects(random.Random(f"landscape {seed}"), good)
    return lambda ideas: sum(effects[idea] for idea in ideas)


def null(seed: int) -> Value:
    return additive(seed, good=0.0)


def interacting(seed: int) -> Value:
    alone, rng = additive(seed), np.random.default_rng(seed)
    pairs = np.triu(rng.normal(size=(IDEAS, IDEAS)) * (rng.random((IDEAS, IDEAS)) < 1 / 3), 1)
    return lambda ideas: alone(ideas) + float((pairs + pairs.T)[np.ix_(ideas, ideas)].sum()) / 2


def plateau(seed: int) -> Value:
    rng = random.Random(f"landscape {seed}")
    effects = usual_effects(rng, 0.01)
    doors = {idea: rng.uniform(0.0, 1.0) for idea in range(DOORS)}
    behind = {idea: -rng.uniform(1.0, 5.0) for idea in range(DOORS, DOORS + BEHIND)}

    def value(ideas: Ideas) -> float:
        inside = behind if any(idea in doors for idea in ideas) else {}
        return sum(doors.get(idea, inside.get(idea, effects[idea])) for idea in ideas)

    return value


def recorded(seed: int) -> Value:
    stages, rng = recorded_effects(), random.Random(f"landscape {seed}")
    places = [rng.random() for _ in range(IDEAS)]

    def value(ideas: Ideas) -> float:
        total, gains = 0.0, 0
        for idea in ideas:
            stage = stages[min(gains, len(stages) - 1)]
            effect = stage[int(places[idea] * len(stage))]
            total, gains = total + effect, gains + (effect < -1)
        return total

    return value


def recorded_effects() -> list[list[float]]:
    """Return the differences in sigma that were measured after so many keeps, with those of the stages beside it."""
    with closing(sqlite3.connect(":memory:")) as ledger, lzma.open(RECORDED, "rt") as file:
        ledger.executescript(file.read())
        rows = ledger.execute("SELECT verdict, delta / sigma FROM experiments WHERE n > 0 ORDER BY n").fetchall()
    stages: list[list[float]] = [[]]
    for verdict, effect in rows:
        if effect is not None:
            stages[-1].append(max(-MAX_RECORDED_SIGMA, effect))
        if verdict == "keep":
            stages.append([])
    return [[effect for stage in stages[max(0, k - 1) : k + 3] for effect in stage] for k in range(len(stages))]


LANDSCAPES = {each.__name__: each for each in (recorded, plateau, additive, interacting, null)}


@dataclass
class Candidate:
    """A version of a simulated session, with its ideas in the order in which they came."""

    n: int
    ideas: Ideas
    value: float
    size: int
    parent: int | None = None
    draws: list[Draw] = field(default_factory=list)
    odds: float = 0.0
    pooled: bool = False
    place: int = -1  # of its verdict in the past of the session


@dataclass
class LandscapeSession(SimulatedSession):
    """A session on a landscape; every proposal changes the incumbent, unless there is an archive."""

    landscape: str = "additive"
    archive: bool = False
    left: int = 0  # proposals that changed another version than the incumbent ...
    kept_off: int = 0  # ... and keeps among them
    combined: int = 0
    is_away: bool = False
    since_measured: int = 0  # proposals that changed another version
    tried: list[frozenset[int]] = field(default_factory=list)

    def _ideas(self, rng: random.Random) -> Iterator[float]:
        self.value, self.rng = LANDSCAPES[self.landscape](self.seed), rng
        self.chooser = np.random.default_rng(self.seed)
        self.best = Candidate(0, (), 0.0, 1000, draws=self.incumbent)
        self.by_n, self.seen = {0: self.best}, {()}
        while True:
            self.now = self._propose()
            self.seen.add(tuple(sorted(self.now.ideas)))
            yield self.now.value - self.best.value

    def _propose(self) -> Candidate:
        if not self.archive or not self._leave():
            return self._change(self.best)
        if self.since_measured >= MEASURE_EVERY:
            self._measure_again()
        if (pool := self._combine()) is not None:
            self.combined += 1
            return pool
        parent = self.by_n[self._view().choose(self.chooser)] if self.is_away else self.best
        self.left += parent is not self.best
        self.since_measured += parent is not self.best
        return self._change(parent)

    def _change(self, parent: Candidate) -> Candidate:
        while True:
            idea = self.rng.randrange(IDEAS)
            ideas = (*parent.ideas, idea)
            if idea not in parent.ideas and tuple(sorted(ideas)) not in self.seen:
                return self._make(ideas, parent)

    def _pooled_noise(self) -> judge.Noise:
        """Return the noise of a machine that is known to be steady: three models less, so four times as fast."""
        found = super()._pooled_noise()
        return replace(found, models=(replace(found.models[0], weight=1.0),))

    def _make(self, ideas: Ideas, parent: Candidate, pooled: bool = False) -> Candidate:
        added = (random.Random(f"size {self.seed} {idea}").randint(-10, 30) for idea in ideas[len(parent.ideas) :])
        return Candidate(len(self.by_n), ideas, self.value(ideas), parent.size + sum(added), parent.n, pooled=pooled)

    def _leave(self) -> bool:
        """Return whether parents come from the archive: from a plateau on until the next keep."""
        if not self.is_away and len(self.by_n) - self.best.n > PLATEAU_PROPOSALS:
            self.is_away = self._view().is_exhausted
        return self.is_away

    def _view(self) -> Archive:
        versions = {n: self._version(each) for n, each in self.by_n.items()}
        trials = self.machine.count / len(versions)
        return Archive(versions, self.best.n, self._noise(), judge.learn(self.past), trials)

    def _version(self, each: Candidate) -> ArchivedVersion:
        mean = fmean(draw.score for draw in each.draws)
        return ArchivedVersion(each.n, each.parent, mean, len(each.draws), each.size, self._is_near(each), each.odds)

    def _is_near(self, version: Candidate) -> bool:
        return is_near_miss(version.odds) and version.n > self.best.n

    def _measure_again(self) -> None:
        self.since_measured = 0
        n = self._view().choose_other(self.chooser)
        if n is None or len((version := self.by_n[n]).draws) >= MAX_DRAWS:
            return
        version.draws.append(self.machine.trial(version.value))
        if n > self.best.n:  # it was compared with the incumbent
            self.now = version
            self._judge(version.value - self.best.value, version.draws, version.place)

    def _combine(self) -> Candidate | None:
        near = [each for each in self.by_n.values() if self._is_near(each) and each.parent == self.best.n]
        parts = sorted((each for each in near if not each.pooled), key=lambda each: -each.odds)[:MAX_PARTS]
        numbers = frozenset(part.n for part in parts)
        if len(parts) < MIN_PARTS_WITHOUT_AGENT or any(numbers <= before for before in self.tried):
            return None
        self.tried.append(numbers)
        added = (idea for part in parts for idea in part.ideas[len(self.best.ideas) :])
        return self._make(tuple(dict.fromkeys((*self.best.ideas, *added))), self.best, pooled=True)

    def _experiment(self, effect: float) -> None:
        self.experiments += 1
        self.by_n[self.now.n] = self.now
        self._judge(effect, [self.machine.trial(self.now.value)])

    def _judge(self, effect: float, candidate: list[Draw], place: int | None = None) -> None:
        """Judge a version; `place` is that of its last verdict in the past, if it has one."""
        while (decision := self._decide(candidate)).action in ("run_again", "compare"):
            if decision.action == "run_again":
                candidate.append(self.machine.trial(self.now.value))
            else:
                self.incumbent.append(self.machine.trial(self.truth))
        self.now.draws, self.now.odds = candidate, decision.p_gain
        self.now.place = len(self.past) if place is None else place
        self.past[self.now.place :] = [
            (decision.delta / self._noise(candidate).sigma, decision.p_gain),
            *self.past[self.now.place + 1 :],
        ]
        if decision.action == "keep":
            self._take(effect, candidate)
        elif place is None and self.now.parent == self.best.n:
            self._discard(candidate, decision)
        elif place is None:
            self.versions.append(candidate[1:])

    def _take(self, effect: float, candidate: list[Draw]) -> None:
        is_direct = self.now.parent == self.best.n
        self.kept_off += not is_direct
        self._keep(effect, candidate)
        if not is_direct:  # a lineage ends where a version was not derived from a kept one
            self.known_as, self.ancestors = replace(self.known_as, parent=None), []
        self.truth, self.best, self.is_away, self.since_measured = self.now.value, self.now, False, 0
        self.now.draws = self.incumbent


def interval(values: Sequence[float]) -> str:
    return f"{fmean(values):+.2f} ± {1.96 * stdev(values) / math.sqrt(len(values)):.2f}"


def run(name: str, seed: int, trials: int, archive: bool) -> LandscapeSession:
    session = LandscapeSession("default", World(), seed, trials, landscape=name, archive=archive)
    session.run()
    return session


def print_row(name: str, policy: str, found: Sequence[LandscapeSession], climbing: Sequence[LandscapeSession]) -> None:
    false, before = (
        [float(sum(effect >= 0 for effect in night.effects)) for night in each] for each in (found, climbing)
    )
    counts = [fmean(getattr(night, what) for night in found) for what in ("left", "kept_off", "combined")]
    cells = [
        f"{fmean(night.experiments for night in found):.0f}",
        interval([-night.truth for night in found]),
        interval([other.truth - night.truth for night, other in zip(found, climbing, strict=True)]),
        f"{fmean(false):.2f}",
        interval([a - b for a, b in zip(false, before, strict=True)]),
        *(f"{count:.2f}" for count in counts),
    ]
    print(f"| {' | '.join([name, policy, *cells])} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nights", type=int, default=60)
    parser.add_argument("--trials", type=int, default=120)
    parser.add_argument("--landscape", action="append", choices=LANDSCAPES)
    options = parser.parse_args()
    names = "experiments", "true gain", "more than climbing", "false keeps", "more", "from the archive", "kept", "pools"
    print(f"| landscape | policy | {' | '.join(names)} |\n|{'---|' * 10}")
    for name in options.landscape or LANDSCAPES:
        climbing: list[LandscapeSession] = []
        for archive in (False, True):
            found = [run(name, seed, options.trials, archive) for seed in range(options.nights)]
            climbing = climbing or found
            print_row(name, "archive" if archive else "climbing", found, climbing)


if __name__ == "__main__":
    main()
