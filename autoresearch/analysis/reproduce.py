"""One version measured again: does it score what the ledger says?"""

import math
from dataclasses import dataclass
from statistics import fmean

from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.errors import UserError, require
from autoresearch.ledger.trials import telling

AGREES = 2.0  # standard errors between record and fresh draws


@dataclass(frozen=True)
class Reproduction:
    """`difference` is measured minus recorded (bits per byte), `error` its standard error; `draws` are fresh."""

    n: int
    recorded: float
    measured: float
    draws: list[float]
    difference: float
    error: float
    agrees: bool


def reproduce(again: Remeasurer, n: int, draws: int) -> Reproduction:
    """Measure experiment `n` `draws` times with fresh seeds. Raises UserError where it has no score."""
    experiment = again.ledger.experiment(again.session.id, n)
    if experiment is None or experiment.val_bpb is None:
        raise UserError(f"experiment {n} has no score that could be reproduced: see `autoresearch log --all`")
    first = again.done(experiment)
    fresh = [require(again.trial(experiment, first + k).val_bpb) for k in range(draws)]
    trials = again.ledger.trials(again.session.id, experiment.id)
    recorded = telling(trials)
    sigma = require(experiment.sigma)
    error = sigma * math.sqrt(1 / draws + 1 / max(len(recorded), 1))
    difference = fmean(fresh) - experiment.val_bpb
    agrees = abs(difference) <= AGREES * error
    return Reproduction(n, experiment.val_bpb, fmean(fresh), fresh, difference, error, agrees)
