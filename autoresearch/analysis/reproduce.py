"""Measure one version again and compare its score with the ledger."""

import math
from dataclasses import dataclass
from statistics import fmean

from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.analysis.session_noise import raw_noise
from autoresearch.errors import UserError, require
from autoresearch.ledger.statements import DIFFERENT_ERRORS
from autoresearch.ledger.trials import scoring_trials


@dataclass(frozen=True)
class Reproduction:
    """A comparison of fresh draws with the ledger; `difference` and `error` are on the scale of the metric."""

    n: int
    recorded: float
    measured: float  # mean of `draws`
    draws: list[float]
    difference: float  # measured minus recorded
    error: float  # standard error of `difference`
    agrees: bool


def reproduce(remeasurer: Remeasurer, n: int, draws: int) -> Reproduction:
    """Measure experiment `n` on fresh seeds. Raises UserError if it has no score."""
    store, session = remeasurer.ledger, remeasurer.session
    experiment = store.experiment(session.id, n)
    if experiment is None or experiment.val_bpb is None:
        raise UserError(f"experiment {n} has no score that could be reproduced: see `autoresearch log --all`")
    first = remeasurer.count_trials(experiment)
    fresh = [require(remeasurer.run_trial(experiment, first + k).val_bpb) for k in range(draws)]
    recorded = scoring_trials(store.trials(session.id, experiment.id))
    sigma, _ = require(raw_noise(store, session))
    error = sigma * math.sqrt(1 / draws + 1 / max(len(recorded), 1))
    metric = session.metric
    difference = fmean(map(metric.to_scale, fresh)) - metric.to_scale(experiment.val_bpb)
    agrees = abs(difference) <= DIFFERENT_ERRORS * error
    measured = metric.from_scale(fmean(map(metric.to_scale, fresh)))
    return Reproduction(n, experiment.val_bpb, measured, fresh, difference, error, agrees)
