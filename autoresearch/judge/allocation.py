"""Choose the arm that proposes next: discounted Thompson sampling on expected gain per unit of cost (docs/judging.md).

The gain of a proposal is zero, or with the arm's keep rate a positive size. The rate has a beta posterior, the size an
exponential distribution with a gamma posterior (Thompson, Biometrika 25, 1933; discounted: Raj and Kalyani, 2017).
Arrays have the shape [nights, arms], so that a simulation decides for many nights at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autoresearch.judge.noise import Array

WARM_UP = 20  # proposals that all arms together share equally at first: 10 of each of two
FLOOR = 0.2  # of all arms together afterwards, equally shared; less for one that costs more than the mean of all
DISCOUNT = 0.98  # weight of a verdict relative to the arm's next one
PLATEAU_VERDICTS = 20  # without a gain, after which an arm gives way to those that are not so long without one
RATE_WEIGHT = 4.0  # verdicts that the common keep rate counts for
SIZE_WEIGHT = 2.0  # gains that the common size counts for
LEAST_COST = 0.2  # of the mean over arms: an arm without a price still takes time
DRAWS = 64  # of the posterior, whose shares are the probabilities of the arms


@dataclass(frozen=True)
class ArmRecord:
    """Verdicts of an arm, oldest first: gains credited by the judge and costs in one unit.

    A gain is in bits per byte, 0.0 where nothing was kept. `pending` proposals have no verdict yet.
    """

    name: str
    gains: tuple[float, ...]
    costs: tuple[float, ...]
    pending: int = 0


@dataclass(frozen=True)
class ArmSums:
    """Sums over the verdicts of each arm, older ones discounted; `given` and `since_gain` are plain counts."""

    given: Array  # proposals, with those that are pending
    verdicts: Array
    keeps: Array
    gains: Array
    costs: Array
    since_gain: Array  # verdicts after the newest gain

    @classmethod
    def of_nothing(cls, shape: tuple[int, ...]) -> "ArmSums":
        return cls(*np.zeros((6, *shape)))

    def add(self, where: Array, gain: Array, cost: Array) -> "ArmSums":
        """Return the sums after one more verdict of the arms with a 1 in `where`."""
        fade = 1 - where * (1 - DISCOUNT)
        kept = where * (gain > 0)
        return ArmSums(
            given=self.given + where,
            verdicts=self.verdicts * fade + where,
            keeps=self.keeps * fade + kept,
            gains=self.gains * fade + kept * gain,
            costs=self.costs * fade + where * cost,
            since_gain=(self.since_gain + where) * (1 - kept),
        )


def choose_arm(records: Sequence[ArmRecord], seed: int) -> str:
    """Return the name of the arm that proposes next; the same records and seed give the same arm."""
    sums = ArmSums(*np.array([_sum(record) for record in records], dtype=np.float64).T[:, None, :])
    return records[int(choose(sums, np.random.default_rng(seed))[0])].name


def choose(sums: ArmSums, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the index of the next arm for each night."""
    fewest = sums.given.argmin(axis=1)
    if (warming := sums.given.min(axis=1) * sums.given.shape[1] < WARM_UP).all():
        return np.asarray(fewest)
    drawn = (probabilities(sums, rng).cumsum(axis=1) > rng.random((len(fewest), 1))).argmax(axis=1)
    return np.asarray(np.where(warming, fewest, drawn))


def probabilities(sums: ArmSums, rng: np.random.Generator) -> Array:
    """Return the probability of each arm after the warm-up."""
    arms = sums.given.shape[1]
    best = _draw_values(sums, rng).argmax(axis=1)
    shares = _leave_plateaus((best[:, None, :] == np.arange(arms)[:, None]).mean(axis=2), sums.since_gain)
    costs = _costs(sums)
    floors = FLOOR / arms * np.minimum(costs.mean(axis=1, keepdims=True) / costs, 1.0)
    floored = np.maximum(shares, floors)
    return np.asarray(floored / floored.sum(axis=1, keepdims=True))


def _leave_plateaus(shares: Array, since_gain: Array) -> Array:
    """Divide the shares of arms on a plateau among the others; keep all shares where all arms are on one."""
    flat = since_gain >= PLATEAU_VERDICTS
    left = np.where(flat & ~flat.all(axis=1, keepdims=True), 0.0, shares + 1 / DRAWS)
    return np.asarray(left / left.sum(axis=1, keepdims=True))


def _draw_values(sums: ArmSums, rng: np.random.Generator) -> Array:
    """Draw the expected gain per unit of cost of each arm from its posterior, [nights, arms, draws].

    The prior is what all arms of the night have in common: so a first gain of one arm raises the others, too.
    """
    verdicts, keeps = (each.sum(axis=1, keepdims=True) for each in (sums.verdicts, sums.keeps))
    rate = (keeps + 0.5) / (verdicts + 5)
    size = np.where(keeps > 0, sums.gains.sum(axis=1, keepdims=True) / np.maximum(keeps, 1e-9), 1.0)
    shape = (*sums.given.shape, DRAWS)
    hits, misses = RATE_WEIGHT * rate + sums.keeps, RATE_WEIGHT * (1 - rate) + sums.verdicts - sums.keeps
    rates = rng.beta(hits[..., None], misses[..., None], shape)
    sizes = (SIZE_WEIGHT * size + sums.gains)[..., None] / rng.gamma(
        (SIZE_WEIGHT + 1 + sums.keeps)[..., None], 1, shape
    )
    return np.asarray(rates * sizes / _costs(sums)[..., None])


def _costs(sums: ArmSums) -> Array:
    """Return the mean cost of a verdict of each arm, shrunk towards that of all by one verdict."""
    verdicts, costs = (each.sum(axis=1, keepdims=True) for each in (sums.verdicts, sums.costs))
    common = np.where(costs > 0, costs / np.maximum(verdicts, 1e-9), 1.0)
    return np.asarray(np.maximum((sums.costs + common) / (sums.verdicts + 1), LEAST_COST * common))


def _sum(record: ArmRecord) -> list[float]:
    """Return the sums of one arm in the order of the fields of `ArmSums`."""
    gains = np.maximum(np.array(record.gains, dtype=np.float64), 0.0)
    weights = DISCOUNT ** np.arange(len(gains))[::-1]
    kept = np.flatnonzero(gains)
    since = len(gains) - (int(kept[-1]) + 1 if kept.size else 0)
    costs = float(weights @ np.array(record.costs, dtype=np.float64))
    keeps, total = float(weights @ (gains > 0)), float(weights @ gains)
    return [len(gains) + record.pending, float(weights.sum()), keeps, total, costs, since]
