"""Archive of parents: the version that the next proposal changes, where the incumbent seems to be exhausted.

The rule chooses what is tried next and never what is kept (docs/judging.md). A parent is chosen by Thompson sampling
(Thompson, Biometrika 25, 1933): one sample of the level of each version, and of how often a change of it is a gain.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from autoresearch.judge.beliefs import EFFECTS, GAIN, Beliefs, posterior_each
from autoresearch.judge.noise import Array, Noise
from autoresearch.judge.rules import DEFAULT
from autoresearch.judge.value import MAX_VALUE_SIGMA

MAX_PARENTS = 8  # beside the incumbent
PLATEAU_PROPOSALS = 25  # without a keep
MAX_NEAR_MISSES, MAX_FAMILIES = 3, 2  # among the parents
MAX_LEAN_LOSS_SIGMA = 1.0  # of the leanest parent
OWN_WEIGHT = 6.0  # proposals that the session's share of gains counts for beside those of one subtree
MEASURE_EVERY = 10  # proposals from the archive, after which a parent is measured again


@dataclass(frozen=True)
class ArchivedVersion:
    """A version with a verdict; `mean` is that of all its `draws`, `odds` are those of its verdict.

    A version without a draw failed, or was stopped early: it can be no parent, and tells about its parent.
    """

    n: int
    parent: int | None
    mean: float = 0.0
    draws: int = 0
    size: int | None = None  # of its code
    near_miss: bool = False
    odds: float = 0.0


@dataclass(frozen=True)
class Archive:
    """Versions of a session by number, and its incumbent, whose draws did not select it."""

    versions: Mapping[int, ArchivedVersion]
    incumbent: int
    noise: Noise
    beliefs: Beliefs
    trials_each: float = 1.0  # trials that a proposal takes on average

    @property
    def is_exhausted(self) -> bool:
        """Return whether nothing was kept for long, and one more proposal is expected to gain less than it costs."""
        return self.since >= PLATEAU_PROPOSALS and self.expected_gain < self.cost

    @property
    def cost(self) -> float:
        """Return the cost of a proposal in sigma."""
        return DEFAULT.trial * self.trials_each

    @property
    def expected_gain(self) -> float:
        """Return the gain in sigma that is expected of one more proposal, as none since the incumbent was kept."""
        return OWN_WEIGHT * self.beliefs.share / (OWN_WEIGHT + self.since) * self.beliefs.scale

    @property
    def since(self) -> int:
        """Return how many versions were tried since the incumbent was kept."""
        return sum(n > self.incumbent for n in self.versions)

    @cached_property
    def levels(self) -> dict[int, tuple[float, float]]:
        """Return mean and standard deviation of each version's difference to the incumbent, in sigma.

        Both are those of the posterior: a mean of few draws is shrunken, so that no lucky draw makes a parent.
        """
        measured = [each for each in self.versions.values() if each.draws and each.n != self.incumbent]
        if not measured:
            return {}
        weights = self._posterior(measured, self.versions[self.incumbent])
        values = np.clip(EFFECTS, -MAX_VALUE_SIGMA, MAX_VALUE_SIGMA)
        means = weights @ values
        spreads = np.sqrt(weights @ values**2 - means**2)
        found = zip(measured, means.tolist(), spreads.tolist(), strict=True)
        return {each.n: (mean, spread) for each, mean, spread in found}

    @cached_property
    def parents(self) -> list[int]:
        """Return the incumbent and up to `MAX_PARENTS` others: near misses, the leanest, other families, the best."""
        best = sorted(self.levels, key=lambda n: self.levels[n][0])
        chosen = dict.fromkeys([n for n in best if self.versions[n].near_miss][:MAX_NEAR_MISSES])
        chosen |= dict.fromkeys(self._leanest())
        chosen |= dict.fromkeys(self._far_families(best))
        chosen |= dict.fromkeys(best)
        return [self.incumbent, *list(chosen)[:MAX_PARENTS]]

    def record(self, n: int) -> tuple[float, int]:
        """Return how many gains the changes of a parent's subtree have in expectation, and how many there are."""
        odds = self._odds_by_parent.get(n, [])
        return sum(odds), len(odds)

    def choose(self, rng: np.random.Generator) -> int:
        """Return the parent whose next change has the largest expected gain over the incumbent in one sample."""
        return self._best_sample(self.parents, rng)

    def choose_other(self, rng: np.random.Generator) -> int | None:
        """Return such a parent beside the incumbent, to measure it again; None if there is none."""
        return self._best_sample(self.parents[1:], rng) if self.parents[1:] else None

    def _best_sample(self, parents: Sequence[int], rng: np.random.Generator) -> int:
        samples = {n: self._sample(n, rng) for n in parents}
        return max(samples, key=samples.__getitem__)

    def _sample(self, n: int, rng: np.random.Generator) -> float:
        gains, tries = self.record(n)
        prior = OWN_WEIGHT * self.beliefs.share
        share = rng.beta(prior + gains, OWN_WEIGHT - prior + tries - gains)
        level = 0.0 if n == self.incumbent else rng.normal(*self.levels[n])
        return expected_improvement(share, self.beliefs.scale, level)

    @cached_property
    def _odds_by_parent(self) -> dict[int, list[float]]:
        """Return the odds that changes were gains over the version that they changed, by the nearest parent."""
        found: dict[int, list[float]] = {}
        for each in self.versions.values():
            owner = next((n for n in self._ancestors(each) if n in self.parents), None)
            if owner is not None:
                found.setdefault(owner, []).append(self._odds(each))
        return found

    def _odds(self, version: ArchivedVersion) -> float:
        """Return the odds that a version is better than the one that it changed."""
        before = self.versions.get(version.parent if version.parent is not None else -1)
        if before is None or before.n == self.incumbent or not (before.draws and version.draws):
            return version.odds
        return float(self._posterior([version], before)[0, GAIN].sum())

    def _posterior(self, ours: Sequence[ArchivedVersion], theirs: ArchivedVersion) -> Array:
        deltas = np.array([(each.mean - theirs.mean) / self.noise.sigma for each in ours])
        errors = np.sqrt([1 / each.draws + 1 / max(theirs.draws, 1) for each in ours])
        return posterior_each(self.beliefs, deltas, errors, self.noise.dof)

    def _leanest(self) -> list[int]:
        """Return the version with the least code among those that lose little, if that is less than the incumbent's."""
        near = [self.incumbent, *(n for n, (mean, _) in self.levels.items() if mean <= MAX_LEAN_LOSS_SIGMA)]
        sizes = {n: size for n in near if (size := self.versions[n].size) is not None}
        leanest = min(sizes, key=lambda n: (sizes[n], n != self.incumbent, n), default=self.incumbent)
        return [] if leanest == self.incumbent else [leanest]

    def _far_families(self, best: Sequence[int]) -> Iterator[int]:
        """Yield the best version of each family, those that share least with the incumbent first."""
        line = [self.incumbent, *self._ancestors(self.versions[self.incumbent])]
        families: dict[int, int] = {}
        for n in best:
            joint = next((k for k in [n, *self._ancestors(self.versions[n])] if k in line), 0)
            families.setdefault(line.index(joint) if joint in line else len(line), n)
        far = sorted(families, reverse=True)[:MAX_FAMILIES]
        yield from (families[distance] for distance in far if distance)

    def _ancestors(self, version: ArchivedVersion) -> Iterator[int]:
        while version.parent is not None and version.parent in self.versions and version.parent < version.n:
            version = self.versions[version.parent]
            yield version.n


def expected_improvement(share: float, scale: float, level: float) -> float:
    """Return what a change is expected to gain over the incumbent, in sigma.

    A share of the changes is a gain, of exponentially distributed size. `level` is the parent's difference to the
    incumbent.
    """
    ahead = max(-level, 0.0)
    return share * (scale * math.exp(-max(level, 0.0) / scale) + ahead) + (1 - share) * ahead
