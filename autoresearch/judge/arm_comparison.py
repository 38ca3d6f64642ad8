"""Compare what arms gained for each proposal (docs/judging.md).

A proposal gains nothing, or with the arm's keep rate a positive amount. The rate has a beta prior, amounts are
exponential with a gamma prior on their inverse mean. A bootstrap interval would be empty for an arm without a gain;
this one is not. Before the data the first arm is better, the second is, or they are the same, with a probability of a
third each: so a winner is rarely named among equal arms, also where one looks often (Ville, 1939; Kass and Raftery,
JASA 90, 1995).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np

from autoresearch.judge.noise import Array

PRIOR_ODDS = 2.0  # that two arms differ
SETTLED = 0.95  # probability with which an arm is called better
RATE_PRIOR = (0.5, 2.5)  # beta: at first one proposal in six is kept, as the judge expects
WORKS_PRIOR = (1.0, 1.0)  # flat, of the share of proposals that can be measured
SIZE_PRIOR = 3.0  # shape of the gamma: so many gains of the common size, in a comparison ...
INTERVAL_PRIOR = 1.0  # ... and in the interval of one arm, whose own gains are most of the common ones
DRAWS = 4000  # of a posterior
PLAN_DRAWS, PLAN_NIGHTS = 400, 200  # for each simulated comparison; comparisons
MAX_NIGHTS = 30  # that are looked ahead
MAX_RATE = 0.95  # of an arm that a plan simulates
POWER = 0.8  # with which a difference is to be shown

_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])


@dataclass(frozen=True)
class MeasuredRate:
    """A value as it was observed, and the middle 95 % of its posterior."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ArmResults:
    """Counts of one arm: answers of the agent, broken ones included, and the sizes of its gains.

    `kept` may be more than the gains: some keeps have an equal score. `dollars` are None where a price is unknown.
    """

    name: str
    proposals: int
    measured: int
    kept: int
    gains: tuple[float, ...]
    hours: float
    dollars: float | None


@dataclass(frozen=True)
class ArmFigures:
    """One arm with 95 % intervals; a rate of gain is None where its unit was not used or is unknown."""

    results: ArmResults
    keep_rate: MeasuredRate
    gain_per_proposal: MeasuredRate
    gain_per_hour: MeasuredRate | None
    gain_per_dollar: MeasuredRate | None

    def as_json(self) -> dict[str, object]:
        """Return what `log --by arm --json` prints (docs/json.md)."""
        values = asdict(self)
        results = values.pop("results")
        name, gain = results.pop("name"), sum(results.pop("gains"))
        return {"arm": name, **results, "gain": gain, **values}


@dataclass(frozen=True)
class ArmComparison:
    """The arm that gained most for each proposal, and the one that is most likely to be better than it.

    `nights` are those that would settle it at the present difference, in multiples of what there is; 0 where it is
    settled, None where even `MAX_NIGHTS` would not.
    """

    leader: str
    rival: str
    probability: float  # that the leader is better
    opposite: float  # that the rival is
    nights: int | None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class GainTally:
    """Proposals, gains and their sum of several nights, [nights]."""

    proposals: Array
    gains: Array
    total: Array

    @classmethod
    def of(cls, results: ArmResults) -> "GainTally":
        columns = (results.proposals, len(results.gains), sum(results.gains))
        return cls(*(np.array([float(each)]) for each in columns))

    def __mul__(self, factor: float) -> "GainTally":
        return GainTally(self.proposals * factor, self.gains * factor, self.total * factor)

    def __add__(self, other: "GainTally") -> "GainTally":
        return GainTally(self.proposals + other.proposals, self.gains + other.gains, self.total + other.total)

    def draw(self, size: Array, weight: float, draws: int, rng: np.random.Generator) -> Array:
        """Draw the gain of a proposal from its posterior, [nights, draws]; the prior is `weight` gains of a `size`."""
        (a, b), shape = RATE_PRIOR, (len(self.gains), draws)
        rate = rng.beta((a + self.gains)[:, None], (b + self.proposals - self.gains)[:, None], shape)
        inverse = rng.gamma((weight + self.gains)[:, None], 1.0, shape)
        return np.asarray(rate * (weight * size + self.total)[:, None] / inverse)


def describe_arms(arms: Sequence[ArmResults]) -> list[ArmFigures]:
    """Return the figures of each arm, with what all of them have in common as a weak prior."""
    size = _common_size([GainTally.of(arm) for arm in arms])
    return [_describe(arm, size) for arm in arms]


def compare_arms(arms: Sequence[ArmResults]) -> ArmComparison | None:
    """Compare the leading arm with its likeliest rival; None while no two arms and no gain are there."""
    if len(arms) < 2 or not any(arm.gains for arm in arms):
        return None
    leader = max(arms, key=lambda arm: sum(arm.gains) / max(arm.proposals, 1))
    ours = GainTally.of(leader)
    others = [(GainTally.of(arm), arm.name) for arm in arms if arm is not leader]
    theirs, rival = min(others, key=lambda other: _probability(ours, other[0]))
    found, nights = _probability(ours, theirs), _nights_to_settle(ours, theirs)
    return ArmComparison(leader.name, rival, found, _probability(theirs, ours), nights)


def find_unreliable(arms: Sequence[ArmResults]) -> tuple[ArmResults, ArmResults] | None:
    """Return the arm whose proposals fail most and the one whose fail least; None where that may be luck."""
    if len(arms) < 2:
        return None
    worst, best = (f(arms, key=lambda arm: arm.measured / max(arm.proposals, 1)) for f in (min, max))
    return (worst, best) if p_works(best, worst) >= SETTLED else None


def p_works(ours: ArmResults, theirs: ArmResults) -> float:
    """Return the probability that more of our proposals can be measured than of theirs."""
    counts = [np.array([arm.measured, arm.proposals - arm.measured], dtype=np.float64) for arm in (ours, theirs)]
    evidence = sum(_log_beta(each, WORKS_PRIOR) for each in counts) - _log_beta(counts[0] + counts[1], WORKS_PRIOR)
    rng = np.random.default_rng(0)
    ours_work, theirs_work = (rng.beta(1 + works, 1 + fails, DRAWS) for works, fails in counts)
    return float(_to_probability(np.asarray(evidence)) * (ours_work > theirs_work).mean())


def p_better(ours: GainTally, theirs: GainTally, draws: int = DRAWS) -> Array:
    """Return the probability that our arm gains more for each proposal than theirs, [nights]."""
    rng, size = np.random.default_rng(0), _common_size([ours, theirs])
    differ = _to_probability(
        _log_evidence(ours, size) + _log_evidence(theirs, size) - _log_evidence(ours + theirs, size)
    )
    more = ours.draw(size, SIZE_PRIOR, draws, rng) > theirs.draw(size, SIZE_PRIOR, draws, rng)
    return np.asarray(differ * more.mean(axis=1))


@lru_cache(maxsize=32)
def smallest_ratio(proposals: int, rate: float) -> float | None:
    """Return how many times as much one arm must gain for each proposal for that to be shown with 80 % probability.

    Each arm makes so many proposals; the keep rate of the weaker one is `rate`. None where no ratio is enough.
    """
    low, high = 1.0, MAX_RATE / rate
    if high < low or _shown_share(proposals, rate, high) < POWER:
        return None
    while high / low > 1.05:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if _shown_share(proposals, rate, middle) >= POWER else (middle, high)
    return high


def _shown_share(proposals: int, rate: float, ratio: float) -> float:
    """Simulate comparisons of two arms whose keep rates have this ratio; return the share that names the better."""
    rng = np.random.default_rng(0)
    ours, theirs = (_simulate(proposals, each, rng) for each in (rate * ratio, rate))
    return float((p_better(ours, theirs, PLAN_DRAWS) >= SETTLED).mean())


def _simulate(proposals: int, rate: float, rng: np.random.Generator) -> GainTally:
    gains = rng.binomial(proposals, rate, PLAN_NIGHTS).astype(np.float64)
    return GainTally(np.full(PLAN_NIGHTS, float(proposals)), gains, rng.gamma(gains))


def _describe(arm: ArmResults, size: Array) -> ArmFigures:
    rng, (a, b) = np.random.default_rng(0), RATE_PRIOR
    rates = rng.beta(a + arm.kept, b + arm.proposals - arm.kept, DRAWS)
    total, totals = sum(arm.gains), arm.proposals * GainTally.of(arm).draw(size, INTERVAL_PRIOR, DRAWS, rng)[0]
    per_hour, per_dollar = (_rate(total, totals, units) if units else None for units in (arm.hours, arm.dollars))
    per_proposal = _rate(total, totals, max(arm.proposals, 1))
    return ArmFigures(
        arm, _rate(arm.kept, rates * arm.proposals, max(arm.proposals, 1)), per_proposal, per_hour, per_dollar
    )


def _rate(count: float, draws: Array, units: float) -> MeasuredRate:
    """Return a count for each unit, with the interval of its draws, which contains it."""
    low, high = np.quantile(draws, [0.025, 0.975])
    return MeasuredRate(count / units, min(float(low), count) / units, max(float(high), count) / units)


def _probability(ours: GainTally, theirs: GainTally) -> float:
    return float(p_better(ours, theirs)[0])


def _nights_to_settle(ours: GainTally, theirs: GainTally) -> int | None:
    """Return how many times the data must come again, at the same difference, until the arms are told apart."""
    for more in range(MAX_NIGHTS + 1):
        if _probability(ours * (1 + more), theirs * (1 + more)) >= SETTLED:
            return more
    return None


def _common_size(tallies: Iterable[GainTally]) -> Array:
    """Return the mean size of the gains of several arms; 1 where there is none."""
    total, gains = (sum(values) for values in zip(*((each.total, each.gains) for each in tallies), strict=True))
    return np.where(np.asarray(gains) > 0, total / np.maximum(gains, 1e-9), 1.0)


def _log_evidence(tally: GainTally, size: Array) -> Array:
    """Return the logarithm of the probability of the counts and sizes of one arm under the prior."""
    rates = _log_beta(np.array([tally.gains, tally.proposals - tally.gains]), RATE_PRIOR)
    shape = SIZE_PRIOR + tally.gains
    sizes = _log_gamma(shape) - math.lgamma(SIZE_PRIOR) + SIZE_PRIOR * np.log(SIZE_PRIOR * size)
    return np.asarray(rates + sizes - shape * np.log(SIZE_PRIOR * size + tally.total))


def _log_beta(counts: Array, prior: tuple[float, float]) -> Array:
    """Return the logarithm of the probability of a sequence with these counts, [nights], under a beta prior."""
    a, b = prior

    def log_integral(x: Array | float, y: Array | float) -> Array:
        return np.asarray(_log_gamma(x) + _log_gamma(y) - _log_gamma(np.add(x, y)))

    return log_integral(a + counts[0], b + counts[1]) - log_integral(a, b)


def _to_probability(evidence: Array) -> Array:
    """Return the probability of a difference, given the logarithm of its Bayes factor."""
    return np.asarray(1 / (1 + np.exp(-np.clip(evidence, -500.0, 500.0)) / PRIOR_ODDS))
