"""Judge somebody else's log: which of its keeps are probably real, given the noise of one score.

The kept versions are the states of a hidden Markov model: each has an unknown true score, and differs from the one
before by an effect with the prior of `Beliefs`. A score scatters around the truth of its version. A discard is the
incumbent's truth plus an effect that was not kept, so discards show how lucky the incumbent was. Paths of true scores
are drawn by forward filtering and backward sampling (Carter and Kohn, Biometrika 81, 1994). That entries were kept
because of their scores needs no correction: everything that was looked at is in the data.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from autoresearch.judge.beliefs import EFFECTS, GRID_STEP, MAX_LIKELIHOOD_DOF, Beliefs, learn, likelihood
from autoresearch.judge.noise import Array

Positions = NDArray[np.int64]  # on the grid
PATHS = 4000  # that are drawn
MAX_LEVELS = 1200  # grid points of the true score
STEP_SIGMA, MARGIN_SIGMA = 0.1, 6.0  # distance of grid points, and how far they reach beyond the kept scores
ROUNDS = 3  # in which the prior is learned from the log itself
CENTRAL = (0.025, 0.975)
GAIN_SIGMA = 0.1  # a smaller gain counts as none
REACH = np.concatenate([-np.geomspace(1e4, 0.1, 400), [0.0], np.geomspace(0.1, 1e4, 400)])


@dataclass(frozen=True)
class Stage:
    """A kept version: its own scores, and those of the candidates that were compared with it and not kept."""

    scores: Sequence[float]
    others: Sequence[float] = ()


@dataclass(frozen=True)
class KeepOdds:
    """Probability that a keep is better than the keep before it, and its likely effect (negative is better)."""

    p_gain: float
    effect: float


@dataclass(frozen=True)
class Level:
    """True score of a kept version: its mean, and the interval that has it with 95 %."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Opinion:
    """What a log shows: the odds of each keep, and the difference of the last one from the base.

    `real` is the expected number of real keeps, with its 95 % interval; so are `low` and `high` of `gain`.
    """

    keeps: list[KeepOdds]
    levels: list[Level]  # of the base and of each keep
    real: float
    real_low: int
    real_high: int
    gain: float
    low: float
    high: float


def judge_log(stages: Sequence[Stage], sigma: float, dof: float = math.inf) -> Opinion:
    """Return the opinion on kept versions in their order, the base first. Lower scores are better.

    `sigma` is the standard deviation of one score; `dof` its degrees of freedom.
    """
    scaled = [Stage([s / sigma for s in each.scores], [s / sigma for s in each.others]) for each in stages]
    beliefs, dof = Beliefs(), max(1.0, min(dof, MAX_LIKELIHOOD_DOF))
    for _ in range(ROUNDS):
        paths = _draw_paths(scaled, beliefs, dof)
        beliefs = learn(_effects(scaled, paths))
    return _summarise(paths, sigma)


def _effects(stages: Sequence[Stage], paths: Array) -> list[tuple[float, float]]:
    """Return effect and odds of all candidates: those that were not kept count as their scores say."""
    found = [(odds.effect, odds.p_gain) for odds in _keeps(paths)]
    levels = paths.mean(axis=0)
    return found + [(y - level, 0.0) for stage, level in zip(stages, levels, strict=True) for y in stage.others]


def _summarise(paths: Array, sigma: float) -> Opinion:
    gains, steps = paths[:, -1] - paths[:, 0], np.diff(paths, axis=1)
    real = (steps < -GAIN_SIGMA).sum(axis=1)
    few, many = np.quantile(real, CENTRAL)
    low, high = np.quantile(gains, CENTRAL) * sigma
    bounds = np.quantile(paths, CENTRAL, axis=0) * sigma
    return Opinion(
        keeps=[KeepOdds(odds.p_gain, odds.effect * sigma) for odds in _keeps(paths)],
        levels=[Level(*map(float, each)) for each in zip(paths.mean(axis=0) * sigma, *bounds, strict=True)],
        real=float(real.mean()),
        real_low=math.floor(few),
        real_high=math.ceil(many),
        gain=float(gains.mean() * sigma),
        low=float(low),
        high=float(high),
    )


def _keeps(paths: Array) -> list[KeepOdds]:
    steps = np.diff(paths, axis=1)
    p_gain, effects = (steps < -GAIN_SIGMA).mean(axis=0), steps.mean(axis=0)
    return [KeepOdds(float(p), float(effect)) for p, effect in zip(p_gain, effects, strict=True)]


def _draw_paths(stages: Sequence[Stage], beliefs: Beliefs, dof: float) -> Array:
    """Draw true scores of the kept versions, [paths, versions], in sigma."""
    kept = [score for stage in stages for score in stage.scores]
    low, high = min(kept) - MARGIN_SIGMA, max(kept) + MARGIN_SIGMA
    grid = np.linspace(low, high, min(MAX_LEVELS, 2 + int((high - low) / STEP_SIGMA)))
    step = _step_density(grid, beliefs)
    filtered: list[Array] = []
    for stage in stages:
        ahead = filtered[-1] @ step if filtered else np.ones(len(grid))
        weights = ahead * np.exp(_log_likelihood(grid, stage, beliefs, dof))
        filtered.append(weights / weights.sum())
    rng = np.random.default_rng(0)
    path: list[Positions] = [rng.choice(len(grid), PATHS, p=filtered[-1])]
    for weights in reversed(filtered[:-1]):
        path.append(_draw_before(weights, step, path[-1], rng))
    return np.asarray(grid[np.stack(path[::-1], axis=1)])


def _draw_before(weights: Array, step: Array, after: Positions, rng: np.random.Generator) -> Positions:
    """Draw the level before each of `after`, given the filtered weights of that version."""
    drawn = np.empty(len(after), dtype=np.int64)
    for level in np.unique(after):
        odds = weights * step[:, level]
        where = after == level
        drawn[where] = rng.choice(len(weights), int(where.sum()), p=odds / odds.sum())
    return drawn


def _step_density(grid: Array, beliefs: Beliefs) -> Array:
    """Return the probability of each step between levels, [from, to]."""
    distance = float(grid[1] - grid[0])
    density = np.interp(grid[None, :] - grid[:, None], REACH, _prior_density(REACH, beliefs, distance))
    return np.asarray(density / density.sum(axis=1, keepdims=True))


def _prior_density(at: Array, beliefs: Beliefs, width: float) -> Array:
    """Return the density of effects; no effect is spread over the width of a grid point."""
    spread = np.hypot(GRID_STEP * EFFECTS, width)
    return np.asarray((beliefs.effects * np.exp(-(((at[:, None] - EFFECTS) / spread) ** 2) / 2) / spread).sum(axis=1))


def _log_likelihood(grid: Array, stage: Stage, beliefs: Beliefs, dof: float) -> Array:
    """Return the log likelihood of each level: of its own scores (Student's t), and of what was not kept."""
    total = np.zeros(len(grid))
    for score in stage.scores:
        total -= (dof + 1) / 2 * np.log1p((score - grid) ** 2 / dof)
    others = likelihood(beliefs, REACH, np.ones(len(REACH)), dof)
    for score in stage.others:
        total += np.log(np.interp(score - grid, REACH, others))
    return np.asarray(total - total.max())


def pooled_sigma(groups: Sequence[Sequence[float]]) -> tuple[float, int] | None:
    """Return the pooled standard deviation of repeated entries and its degrees of freedom; None without one."""
    repeated = [group for group in groups if len(group) > 1]
    dof = sum(len(group) - 1 for group in repeated)
    if not dof:
        return None
    squares = sum((score - fmean(group)) ** 2 for group in repeated for score in group)
    return math.sqrt(squares / dof), dof
