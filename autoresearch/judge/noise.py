"""Noise of scores: between trials, between seeds, and from drift of the machine's level (docs/judging.md).

The difference of two versions is estimated by generalised least squares (Aitken, 1935). Each of `NOISE_MODELS` gets a
probability from all measurements (restricted maximum likelihood: Patterson and Thompson, Biometrika 58, 1971).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MIN_SIGMA = 1e-6  # as scores are rounded to this; of numbers below 1, relative to them
MAX_EARLIER_DOF = 8.0  # degrees of freedom that earlier sessions on this machine may count for
MAX_DRAWS = 60  # newest draws that are used; older ones add nothing


@dataclass(frozen=True)
class NoiseModel:
    """One way in which scores may vary."""

    level: float = 0.0  # standard deviation of the machine's level / that of a trial around the level
    memory: float = 1.0  # trials over which the level changes
    shared: float = 0.0  # part of the variance around the level that two versions have in common with one seed


STEADY = NoiseModel()
NOISE_MODELS = {  # with their prior probabilities; the steady one is first
    STEADY: 0.6,
    NoiseModel(shared=0.7): 0.1,
    NoiseModel(level=1.0, memory=40.0): 0.15,
    NoiseModel(level=2.0, memory=10.0): 0.15,
}


@dataclass(frozen=True)
class Draw:
    score: float  # bits per byte
    at: int  # number of the trial in the session
    seed: int | None = None  # None: a unique one
    speed: float | None = None  # of the machine beside the trial (speed.py); None: unknown
    variance: float = 1.0  # of its noise, in sigma squared; a summary of other trials has another one


@dataclass(frozen=True)
class WeightedModel:
    model: NoiseModel
    weight: float
    sigma: float  # spread of one trial around the level, bits per byte


@dataclass(frozen=True)
class Noise:
    sigma: float  # standard deviation of one trial around its version's mean, bits per byte
    dof: float
    models: tuple[WeightedModel, ...]
    least: float = MIN_SIGMA  # the smallest sigma that is believed


def noise(versions: Sequence[Sequence[Draw]], earlier: tuple[float, float] | None = None) -> Noise:
    """Estimate the noise from the draws of each version.

    `earlier` are sigma and degrees of freedom of earlier sessions on the machine. Without it, and without a version
    that was measured twice, sigma is the smallest possible one with no degree of freedom.
    """
    groups, least = _newest_draws(versions), _least_sigma(versions)
    sigma, earlier_dof = earlier or (least, 0.0)
    earlier_dof = min(earlier_dof, MAX_EARLIER_DOF)
    dof = sum(len(group) - 1 for group in groups) + earlier_dof
    if dof == 0:
        return Noise(least, 0.0, (WeightedModel(STEADY, 1.0, least),), least)
    fits = [_fit_model(groups, model, earlier_dof * sigma**2, dof, least) for model in NOISE_MODELS]
    best = max(likelihood for likelihood, _ in fits)
    weights = [prior * math.exp(fit - best) for prior, (fit, _) in zip(NOISE_MODELS.values(), fits, strict=True)]
    models = tuple(
        WeightedModel(model, weight / sum(weights), sigma)
        for model, weight, (_, sigma) in zip(NOISE_MODELS, weights, fits, strict=True)
    )
    return Noise(models[0].sigma, dof, models, least)


def difference(candidate: Sequence[Draw], incumbent: Sequence[Draw], fitted: WeightedModel) -> tuple[float, float]:
    """Return the candidate's mean minus the incumbent's and its standard error, bits per byte."""
    draws = [*candidate, *incumbent]
    design = np.ones((len(draws), 2))
    design[len(candidate) :, 1] = 0.0
    fit = _least_squares(design, draws, fitted.model)
    return float(fit.coefficients[1]), fitted.sigma * math.sqrt(fit.covariance[1, 1])


def _newest_draws(versions: Sequence[Sequence[Draw]]) -> list[list[Draw]]:
    """Select the newest draws of versions that were measured more than once.

    A version whose scores are all equal is deterministic: it says nothing on the noise of others that are not.
    """
    newest = sorted((draw.at for group in versions if len(group) > 1 for draw in group), reverse=True)[:MAX_DRAWS]
    recent = [[draw for draw in group if draw.at >= newest[-1]] for group in versions if len(group) > 1]
    repeated = [group for group in recent if len(group) > 1]
    return [group for group in repeated if len({draw.score for draw in group}) > 1] or repeated


def _least_sigma(versions: Sequence[Sequence[Draw]]) -> float:
    """Return the smallest sigma of numbers of this size."""
    largest = max((abs(draw.score) for group in versions for draw in group), default=0.0)
    return MIN_SIGMA * (min(largest, 1.0) or 1.0)


def _fit_model(
    groups: Sequence[Sequence[Draw]], model: NoiseModel, earlier: float, dof: float, least: float
) -> tuple[float, float]:
    """Return a model's log likelihood and the spread of one trial, at least `least`; `earlier`: a sum of squares."""
    earlier /= 1 + model.level**2
    if not groups:
        return 0.0, max(math.sqrt(earlier / dof), least)
    draws = [draw for group in groups for draw in group]
    design = np.zeros((len(draws), len(groups)))
    design[range(len(draws)), [column for column, group in enumerate(groups) for _ in group]] = 1.0
    fit = _least_squares(design, draws, model)
    variance = max((fit.squares + earlier) / dof, least**2)
    return -(fit.log_determinants + dof * math.log(variance)) / 2, math.sqrt(variance)


@dataclass(frozen=True)
class _Fit:
    coefficients: Array
    covariance: Array  # of the coefficients, for a spread of 1
    squares: float  # sum of the squared residuals
    log_determinants: float  # sum of the log determinants of the two covariances


def _least_squares(design: Array, draws: Sequence[Draw], model: NoiseModel) -> _Fit:
    scores = np.array([draw.score for draw in draws])
    root = np.linalg.cholesky(_covariance(draws, model))
    centred = scores - scores[0]  # a constant offset changes no difference
    whitened = np.linalg.solve(root, np.column_stack([design, centred]))
    design, scores = whitened[:, :-1], whitened[:, -1]
    precision = design.T @ design
    coefficients = np.linalg.solve(precision, design.T @ scores)
    squares = float(np.sum((scores - design @ coefficients) ** 2))
    log_determinants = 2 * float(np.sum(np.log(np.diag(root)))) + float(np.linalg.slogdet(precision)[1])
    return _Fit(coefficients, np.asarray(np.linalg.inv(precision)), squares, log_determinants)


def _covariance(draws: Sequence[Draw], model: NoiseModel) -> Array:
    """Return the covariance of draws around their versions' means, [n, n], for a spread of 1."""
    covariance = np.diag([draw.variance for draw in draws])
    if model.level:
        at = np.array([draw.at for draw in draws], dtype=np.float64)
        covariance += model.level**2 * np.exp(-np.abs(at[:, None] - at) / model.memory)
    if model.shared:
        seeds = np.array([-1 - k if draw.seed is None else draw.seed for k, draw in enumerate(draws)])
        covariance += model.shared * ((seeds[:, None] == seeds) - np.eye(len(draws)))
    return covariance


def p_below(bound: float, scores: Sequence[float], draws: int, noise: Noise) -> float:
    """Return the probability that the mean of a version is below a bound, if `draws` have the mean of `scores`."""
    mean = math.fsum(scores) / len(scores)
    return p_below_zero(mean - bound, noise.sigma / math.sqrt(draws), noise.dof)


def p_below_zero(delta: float, standard_error: float, dof: float) -> float:
    """Return P(difference < 0) by Student's t, in Wallace's approximation (1959)."""
    t = -delta / standard_error
    if dof <= 0:
        return 0.5
    z = (8 * dof + 1) / (8 * dof + 3) * math.sqrt(dof * math.log1p(t * t / dof))
    return NormalDist().cdf(math.copysign(z, t))
