"""What a history of moves says about further moves: the model behind `sweep`, as an Optuna sampler.

The score is taken for a sum of one smooth function per constant, on the constant's log scale: an additive
Gaussian process (Duvenaud et al., 2011). What was measured is *differences* of that sum, candidate minus
parent, and these are Gaussian too. So one experiment that moved three constants teaches about all three, what
was learnt stays true when the incumbent moves on, and no scores are compared across parents; deltas with the
same parent share the error of its mean. To act on a draw from the posterior (Thompson sampling) balances
trying what is unknown and using what is known.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray

Array = NDArray[np.floating[Any]]

LENGTH = 1.0  # log2 units over which the effect of a constant changes: factor 2
SCALES = (1.0, 2.0, 4.0, 8.0)  # candidate sizes of an effect, in units of the noise
BAD = 4.0  # units of noise; what is worse than this, and a failure, counts as this bad
PARENT_ERROR = 0.5  # variance of a parent's mean, in units of one trial's
RANGE = optuna.distributions.FloatDistribution(-2000.0, 2000.0)  # holds log2 of every float


@dataclass(frozen=True)
class Observation:
    """One experiment: where each moved constant went (from, to), its delta (None: it failed), its parent."""

    moves: dict[str, tuple[float, float]]
    delta: float | None
    parent: int


@dataclass(frozen=True)
class Moves:
    """Some single moves of one constant: row `rows[i]` of a table went from `start[i]` to `end[i]`."""

    rows: list[int]
    start: Array
    end: Array


def ask(sampler: "AdditiveSampler", history: Sequence[Observation]) -> dict[str, float]:
    """The point to try next, all constants, by a study that knows the history."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study(sampler=sampler)
        for observation, value in zip(history, _told(history, sampler.noise), strict=True):
            study.add_trial(_as_trial(observation, value))
        return dict(study.ask(fixed_distributions=dict.fromkeys(sampler.here, RANGE)).params)


def _told(history: Sequence[Observation], noise: float) -> list[float]:
    """Deltas as told: failures and disasters get one clearly bad value, not to bend the rest."""
    deltas = [observation.delta for observation in history if observation.delta is not None]
    bad = max(BAD * noise, 2 * float(np.median(np.abs(deltas)))) if deltas else BAD * noise
    return [bad if o.delta is None else min(o.delta, bad) for o in history]


def _as_trial(observation: Observation, value: float) -> "optuna.trial.FrozenTrial":
    starts = {key: start for key, (start, _) in observation.moves.items()}
    return optuna.trial.create_trial(
        params={key: end for key, (_, end) in observation.moves.items()},
        distributions=dict.fromkeys(observation.moves, RANGE),
        value=value,
        user_attrs={"from": starts, "parent": observation.parent},
    )


class AdditiveSampler(optuna.samplers.BaseSampler):  # type: ignore[misc]
    """Moves up to `most` constants away from `here`, each to one of its `choices` (all in coordinates).

    `noise` is the standard deviation of one trial; `predicted` what the last point asked for is expected
    to change.
    """

    def __init__(
        self,
        here: Mapping[str, float],
        choices: Mapping[str, Sequence[float]],
        noise: float,
        most: int,
        rng: np.random.Generator,
    ) -> None:
        self.here, self.choices, self.noise, self.most, self.rng = here, choices, noise, most, rng
        self.predicted = 0.0

    def infer_relative_search_space(self, study: Any, trial: Any) -> dict[str, Any]:
        """All constants, chosen together."""
        return dict.fromkeys(self.here, RANGE)

    def sample_relative(self, study: Any, trial: Any, search_space: dict[str, Any]) -> dict[str, float]:
        """The best few moves in one draw from the posterior; the other constants stay."""
        told = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
        mean, covariance = self._posterior(told)
        root = np.linalg.cholesky(covariance + 1e-6 * covariance.diagonal().max() * np.eye(len(mean)))
        drawn = mean + root @ self.rng.standard_normal(len(mean))
        best = {}
        for key, moves in self._candidates().items():
            row = moves.rows[int(np.argmin(drawn[moves.rows]))]
            best[row] = (key, float(moves.end[row - moves.rows[0]]))
        rows = sorted(best, key=lambda row: float(drawn[row]))
        picked = [row for row in rows[: self.most] if drawn[row] < 0] or rows[:1]
        self.predicted = float(mean[picked].sum())
        return {**self.here, **dict(best[row] for row in picked)}

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> float:
        """Never needed for a constant that is known; it would stay where it is."""
        return self.here[param_name]

    def _candidates(self) -> dict[str, Moves]:
        found, first = {}, 0
        for key, ends in self.choices.items():
            start = np.full(len(ends), self.here[key])
            found[key] = Moves(list(range(first, first + len(ends))), start, np.array(ends))
            first += len(ends)
        return found

    def _posterior(self, told: Sequence[Any]) -> tuple[Array, Array]:
        """Mean and covariance of the change that each candidate move makes by itself."""
        candidates, past = self._candidates(), _moves_of(told)
        prior = _covariance(candidates, candidates)
        if not told:
            return np.zeros(len(prior)), (SCALES[1] * self.noise) ** 2 * prior
        between = _covariance(past, candidates, len(told), len(prior))
        deltas = np.array([trial.value for trial in told])
        variance, root = self._fit(_covariance(past, past, len(told), len(told)), deltas, _same_parent(told))
        weights = np.linalg.solve(root, variance * between)
        return weights.T @ np.linalg.solve(root, deltas), variance * prior - weights.T @ weights

    def _fit(self, prior: Array, deltas: Array, same_parent: Array) -> tuple[float, Array]:
        """The most likely variance of an effect, and the Cholesky root of the deltas' covariance under it."""
        noise = self.noise**2 * (np.eye(len(deltas)) + PARENT_ERROR * same_parent)
        fits = []
        for scale in SCALES:
            variance = (scale * self.noise) ** 2
            root = np.linalg.cholesky(variance * prior + noise)
            misfit = 0.5 * float(np.sum(np.linalg.solve(root, deltas) ** 2))
            fits.append((misfit + float(np.log(root.diagonal()).sum()), variance, root))
        _, variance, root = min(fits, key=lambda fit: fit[0])
        return variance, root


def _same_parent(told: Sequence[Any]) -> Array:
    parents = np.array([trial.user_attrs["parent"] for trial in told])
    return np.where(parents[:, None] == parents[None, :], 1.0, 0.0)


def _moves_of(told: Sequence[Any]) -> dict[str, Moves]:
    rows: dict[str, list[int]] = {}
    for row, trial in enumerate(told):
        for key in trial.params:
            rows.setdefault(key, []).append(row)
    return {
        key: Moves(
            found,
            np.array([told[row].user_attrs["from"][key] for row in found]),
            np.array([told[row].params[key] for row in found]),
        )
        for key, found in rows.items()
    }


def _covariance(a: Mapping[str, Moves], b: Mapping[str, Moves], rows: int = 0, columns: int = 0) -> Array:
    """Prior covariance of the changes that two tables of moves make, effects of size 1: [rows, columns]."""
    rows = rows or sum(len(moves.rows) for moves in a.values())
    columns = columns or sum(len(moves.rows) for moves in b.values())
    table = np.zeros((rows, columns))
    for key in [key for key in a if key in b]:  # in a fixed order, so that the last bits repeat
        x, y = a[key], b[key]
        ends = _similar(x.end, y.end) - _similar(x.end, y.start)
        table[np.ix_(x.rows, y.rows)] += ends - _similar(x.start, y.end) + _similar(x.start, y.start)
    return table


def _similar(x: Array, y: Array) -> Array:
    return np.asarray(np.exp(-0.5 * ((x[:, None] - y[None, :]) / LENGTH) ** 2))
