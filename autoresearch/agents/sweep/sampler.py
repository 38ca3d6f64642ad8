"""The model of `sweep`, as an Optuna sampler: it learns from past moves of constants and chooses new ones.

The score is modelled as a sum of one smooth function per constant, on the constant's log scale: an additive Gaussian
process (Duvenaud et al., 2011). The measurements are *differences* of that sum, candidate minus parent, which are
Gaussian, too. So one experiment that moved three constants is evidence on all three, the evidence stays valid when the
incumbent changes, and scores are never compared across parents; deltas with the same parent share the error of its
mean. Choosing by a sample from the posterior (Thompson sampling) balances exploration and exploitation. Many constants
move at once, because each experiment then tells something about each of them; dev/LOG.md has the comparison.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna import Study
from optuna.distributions import FloatDistribution
from optuna.trial import FrozenTrial

Array = NDArray[np.floating]

MIN_MOVES, MOVED_SHARE = 3, 1 / 3  # of the constants, that one proposal may move
TEMPERATURE = 0.5  # of a sample, around the posterior mean: a whole one scatters over too many constants
LENGTH = 2.0  # log2 units over which the effect of a constant changes: factor 4
SCALES = (1.0, 2.0, 4.0, 8.0)  # candidate sizes of an effect, in units of the noise
BAD_DELTA = 4.0  # in units of the noise: failures, and deltas that are worse, count as this
PARENT_ERROR = 0.5  # variance of a parent's mean, in units of one trial's
RANGE = FloatDistribution(-2000.0, 2000.0)  # holds log2 of every float


@dataclass(frozen=True)
class Observation:
    """One experiment: the moves (from, to) of its constants, its delta (None: it failed), its parent."""

    moves: dict[str, tuple[float, float]]
    delta: float | None
    parent: int


@dataclass(frozen=True)
class Moves:
    """Moves of one constant: row `rows[i]` of a table goes from `start[i]` to `end[i]`."""

    rows: list[int]
    start: Array
    end: Array


def ask(sampler: "AdditiveSampler", history: Sequence[Observation]) -> dict[str, float]:
    """Return the next point, all constants, from a study with the history."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=sampler)
        for observation, value in zip(history, _clip_deltas(history, sampler.noise), strict=True):
            study.add_trial(_as_trial(observation, value))
        return dict(study.ask(fixed_distributions=dict.fromkeys(sampler.here, RANGE)).params)


def _clip_deltas(history: Sequence[Observation], noise: float) -> list[float]:
    """Return the deltas; failures and very bad ones get the same bad value, so that they do not distort the fit."""
    deltas = [observation.delta for observation in history if observation.delta is not None]
    bad = max(BAD_DELTA * noise, 2 * float(np.median(np.abs(deltas)))) if deltas else BAD_DELTA * noise
    return [bad if o.delta is None else min(o.delta, bad) for o in history]


def _as_trial(observation: Observation, value: float) -> FrozenTrial:
    starts = {key: start for key, (start, _) in observation.moves.items()}
    return optuna.trial.create_trial(
        params={key: end for key, (_, end) in observation.moves.items()},
        distributions=dict.fromkeys(observation.moves, RANGE),
        value=value,
        user_attrs={"from": starts, "parent": observation.parent},
    )


@dataclass(eq=False)
class AdditiveSampler(optuna.samplers.BaseSampler):  # type: ignore[misc]
    """Move up to a share of the constants away from `here`, each to one of its `choices` (all in coordinates).

    `noise` is the standard deviation of one trial, `predicted` the expected delta of the last sampled point.
    """

    here: Mapping[str, float]
    choices: Mapping[str, Sequence[float]]
    noise: float
    rng: np.random.Generator
    predicted: float = 0.0

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, FloatDistribution]:
        """Let all constants be chosen together."""
        return dict.fromkeys(self.here, RANGE)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, FloatDistribution]
    ) -> dict[str, float]:
        """Return the best few moves in one sample from the posterior; the other constants stay."""
        past = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        mean, covariance = self._posterior(past)
        root = np.linalg.cholesky(covariance + 1e-6 * covariance.diagonal().max() * np.eye(len(mean)))
        sample = mean + TEMPERATURE * root @ self.rng.standard_normal(len(mean))
        best = {}
        for key, moves in self._candidates().items():
            row = moves.rows[int(np.argmin(sample[moves.rows]))]
            best[row] = (key, float(moves.end[row - moves.rows[0]]))
        rows = sorted(best, key=lambda row: float(sample[row]))
        most = max(MIN_MOVES, round(MOVED_SHARE * len(self.here)))
        chosen = [row for row in rows[:most] if sample[row] < 0] or rows[:1]
        self.predicted = float(mean[chosen].sum())
        return {**self.here, **dict(best[row] for row in chosen)}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: FloatDistribution
    ) -> float:
        """Leave a constant unchanged; Optuna needs this only for a name outside of the search space."""
        return self.here[param_name]

    def _candidates(self) -> dict[str, Moves]:
        candidates, first = {}, 0
        for key, ends in self.choices.items():
            start = np.full(len(ends), self.here[key])
            candidates[key] = Moves(list(range(first, first + len(ends))), start, np.array(ends))
            first += len(ends)
        return candidates

    def _posterior(self, past: Sequence[FrozenTrial]) -> tuple[Array, Array]:
        """Return mean and covariance of the effects of single candidate moves."""
        candidates, moves = self._candidates(), _moves_of(past)
        prior = _covariance(candidates, candidates)
        if not past:
            return np.zeros(len(prior)), (SCALES[1] * self.noise) ** 2 * prior
        between = _covariance(moves, candidates, len(past), len(prior))
        deltas = np.array([trial.value for trial in past])
        parents = np.array([trial.user_attrs["parent"] for trial in past])
        same_parent = np.where(parents[:, None] == parents[None, :], 1.0, 0.0)
        variance, root = self._fit(_covariance(moves, moves, len(past), len(past)), deltas, same_parent)
        weights = np.linalg.solve(root, variance * between)
        return weights.T @ np.linalg.solve(root, deltas), variance * prior - weights.T @ weights

    def _fit(self, prior: Array, deltas: Array, same_parent: Array) -> tuple[float, Array]:
        """Return the most likely variance of an effect, and the Cholesky root of the deltas' covariance with it."""
        noise = self.noise**2 * (np.eye(len(deltas)) + PARENT_ERROR * same_parent)
        fits = []
        for scale in SCALES:
            variance = (scale * self.noise) ** 2
            root = np.linalg.cholesky(variance * prior + noise)
            misfit = 0.5 * float(np.sum(np.linalg.solve(root, deltas) ** 2))
            fits.append((misfit + float(np.log(root.diagonal()).sum()), variance, root))
        _, variance, root = min(fits, key=lambda fit: fit[0])
        return variance, root


def _moves_of(past: Sequence[FrozenTrial]) -> dict[str, Moves]:
    rows: dict[str, list[int]] = {}
    for row, trial in enumerate(past):
        for key in trial.params:
            rows.setdefault(key, []).append(row)
    starts = {key: np.array([past[row].user_attrs["from"][key] for row in rows[key]]) for key in rows}
    return {key: Moves(rows[key], starts[key], np.array([past[row].params[key] for row in rows[key]])) for key in rows}


def _covariance(a: Mapping[str, Moves], b: Mapping[str, Moves], rows: int = 0, columns: int = 0) -> Array:
    """Return the prior covariance of the effects (of size 1) of two tables of moves: [rows, columns]."""
    rows = rows or sum(len(moves.rows) for moves in a.values())
    columns = columns or sum(len(moves.rows) for moves in b.values())
    table = np.zeros((rows, columns))
    for key in [key for key in a if key in b]:  # in a fixed order, so that results are equal to the last bit
        x, y = a[key], b[key]
        ends = _similar(x.end, y.end) - _similar(x.end, y.start)
        table[np.ix_(x.rows, y.rows)] += ends - _similar(x.start, y.end) + _similar(x.start, y.start)
    return table


def _similar(x: Array, y: Array) -> Array:
    return np.asarray(np.exp(-0.5 * ((x[:, None] - y[None, :]) / LENGTH) ** 2))
