"""How scores of one version vary: from trial to trial, with the seed, and with the level of the machine, which may wander.

Trials that follow one another share the level that the machine has at that time, trials of one seed share their data
order and their initial weights. So the difference of two versions is estimated by generalised least squares (Aitken,
1935): pairs taken in turns, with the same seeds, count for more than draws from another hour where that makes a
difference, and all draws count alike where it does not. Which it is nobody knows before: each of `MACHINES` has a
probability that follows from all that was measured (restricted maximum likelihood: Patterson and Thompson,
Biometrika 58, 1971).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FLOOR = 1e-6  # bits per byte; scores are rounded to this
EARLIER_DOF = 8.0  # what earlier sessions on this machine may count for, in degrees of freedom
RECENT = 60  # draws; older ones tell nothing new


@dataclass(frozen=True)
class Machine:
    """One way in which scores may vary.

    `level` is how far the machine's level strays, in standard deviations of one trial around it, over `memory` trials;
    `shared` the part of the variance around it that two versions have in common with one seed.
    """

    level: float = 0.0
    memory: float = 1.0
    shared: float = 0.0


STEADY = Machine()
MACHINES = {
    STEADY: 0.3,
    Machine(shared=0.7): 0.1,
    Machine(level=1.0, memory=40.0): 0.3,
    Machine(level=2.0, memory=10.0): 0.3,
}
"""With their probabilities before anything was measured; the steady one is first."""


@dataclass(frozen=True)
class Draw:
    """One score, bits per byte, the number of its trial in the session, and its seed (None: one of its own)."""

    score: float
    at: int
    seed: int | None = None


@dataclass(frozen=True)
class Guess:
    """A machine, its probability, and the spread of one trial around its level, bits per byte."""

    machine: Machine
    weight: float
    sigma: float


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one trial's score around its version's mean, pooled, its degrees of freedom, and its causes."""

    sigma: float
    dof: float
    guesses: tuple[Guess, ...]

    @property
    def drift(self) -> float:
        """Probability that the machine's level wanders."""
        return sum(guess.weight for guess in self.guesses if guess.machine.level)


def noise(versions: Sequence[Sequence[Draw]], earlier: tuple[float, float] | None = None) -> Noise:
    """From the draws of each version; `earlier` are sigma and degrees of freedom of earlier sessions on the machine.

    Without any version that was measured twice, and without earlier sessions, sigma is `FLOOR` with no degree of freedom.
    """
    groups = _recent(versions)
    sigma, known = earlier or (FLOOR, 0.0)
    known = min(known, EARLIER_DOF)
    dof = sum(len(group) - 1 for group in groups) + known
    if dof == 0:
        return Noise(FLOOR, 0.0, (Guess(STEADY, 1.0, FLOOR),))
    fits = [_fitted(groups, machine, known * sigma**2, dof) for machine in MACHINES]
    best = max(likelihood for likelihood, _ in fits)
    weights = [prior * math.exp(fit - best) for prior, (fit, _) in zip(MACHINES.values(), fits, strict=True)]
    guesses = tuple(
        Guess(machine, weight / sum(weights), sigma)
        for machine, weight, (_, sigma) in zip(MACHINES, weights, fits, strict=True)
    )
    return Noise(guesses[0].sigma, dof, guesses)


def difference(candidate: Sequence[Draw], incumbent: Sequence[Draw], guess: Guess) -> tuple[float, float]:
    """Mean of the candidate minus the incumbent's, and its standard error, bits per byte."""
    draws = [*candidate, *incumbent]
    design = np.ones((len(draws), 2))
    design[len(candidate) :, 1] = 0.0
    fit = _least_squares(design, draws, guess.machine)
    return float(fit.coefficients[1]), guess.sigma * math.sqrt(fit.covariance[1, 1])


def _recent(versions: Sequence[Sequence[Draw]]) -> list[list[Draw]]:
    """The newest draws of versions that were measured more than once."""
    newest = sorted((draw.at for group in versions if len(group) > 1 for draw in group), reverse=True)[:RECENT]
    kept = [[draw for draw in group if draw.at >= newest[-1]] for group in versions if len(group) > 1]
    return [group for group in kept if len(group) > 1]


def _fitted(groups: Sequence[Sequence[Draw]], machine: Machine, earlier: float, dof: float) -> tuple[float, float]:
    """Log likelihood of a machine, and the spread of one trial on it; `earlier` is a sum of squares."""
    earlier /= 1 + machine.level**2
    if not groups:
        return 0.0, max(math.sqrt(earlier / dof), FLOOR)
    draws = [draw for group in groups for draw in group]
    design = np.zeros((len(draws), len(groups)))
    design[range(len(draws)), [column for column, group in enumerate(groups) for _ in group]] = 1.0
    fit = _least_squares(design, draws, machine)
    variance = max((fit.squares + earlier) / dof, FLOOR**2)
    return -(fit.determinants + dof * math.log(variance)) / 2, math.sqrt(variance)


@dataclass(frozen=True)
class _Fit:
    coefficients: Array
    covariance: Array  # of the coefficients, for a spread of 1
    squares: float  # left over
    determinants: float  # logarithms of those of the two covariances, added


def _least_squares(design: Array, draws: Sequence[Draw], machine: Machine) -> _Fit:
    scores = np.array([draw.score for draw in draws])
    root = np.linalg.cholesky(_covariance(draws, machine))
    whitened = np.linalg.solve(
        root, np.column_stack([design, scores - scores[0]])
    )  # a common score changes no difference
    design, scores = whitened[:, :-1], whitened[:, -1]
    precision = design.T @ design
    coefficients = np.linalg.solve(precision, design.T @ scores)
    squares = float(np.sum((scores - design @ coefficients) ** 2))
    determinants = 2 * float(np.sum(np.log(np.diag(root)))) + float(np.linalg.slogdet(precision)[1])
    return _Fit(coefficients, np.asarray(np.linalg.inv(precision)), squares, determinants)


def _covariance(draws: Sequence[Draw], machine: Machine) -> Array:
    """Of the scores around their versions' means, [draws, draws], for a spread of 1."""
    found = np.eye(len(draws))
    if machine.level:
        at = np.array([draw.at for draw in draws], dtype=np.float64)
        found += machine.level**2 * np.exp(-np.abs(at[:, None] - at) / machine.memory)
    if machine.shared:
        seeds = np.array([-1 - k if draw.seed is None else draw.seed for k, draw in enumerate(draws)])
        found += machine.shared * ((seeds[:, None] == seeds) - np.eye(len(draws)))
    return found


def p_below_zero(delta: float, standard_error: float, dof: float) -> float:
    """Probability that a difference is below zero, given its estimate: Student's t by Wallace's approximation (1959)."""
    t = -delta / standard_error
    if dof <= 0:
        return 0.5
    z = (8 * dof + 1) / (8 * dof + 3) * math.sqrt(dof * math.log1p(t * t / dof))
    return NormalDist().cdf(math.copysign(z, t))
