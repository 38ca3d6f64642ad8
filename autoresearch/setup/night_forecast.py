"""What measurements before a first session say of a night."""

from collections.abc import Iterator

from autoresearch import judge
from autoresearch.errors import require
from autoresearch.judge.noise import STEADY, Noise, WeightedModel
from autoresearch.metric import EXACT
from autoresearch.setup.calibration import Calibration
from autoresearch.setup.forecast import RERUNS, Forecast
from autoresearch.setup.project import Project
from autoresearch.setup.session_power import find_power


def describe_noise(measured: Calibration) -> str:
    """Say how much the number of one version varies."""
    if measured.metric.kind == EXACT:
        return "none: the number is exact, and the seed does not change it"
    cause = "the seed decides it" if measured.follows_seed else "also with one seed"
    return f"sigma {measured.metric.spread(measured.sigma)} ({measured.metric.kind}; {cause})"


def describe_reaction(measured: Calibration) -> Iterator[str]:
    """Say whether the number reacts to what changes, and only to that."""
    if measured.commented is not None:
        yield "one more comment ties" if measured.ties else _describe_comment(measured)
    for path, result in measured.broken.items():
        if path in measured.rewarded:
            yield f"WARNING: with {path} broken the number is better ({result.val_bpb:.6g}): let the command fail then"
        elif path in measured.unmoved:
            yield f"WARNING: with {path} broken the number is the same: the command does not use this file"
        else:
            yield f"{path} broken loses ({result.outcome if result.val_bpb is None else f'{result.val_bpb:.6g}'})"


def _describe_comment(measured: Calibration) -> str:
    result = measured.commented
    found = "" if result is None else result.reason or f"{result.val_bpb:.6g}"
    return f"WARNING: one more comment changes the number ({found}): the command measures the text itself"


def describe_night(project: Project, measured: Calibration, hours: float) -> str:
    """Say how many trials an hour allows, and which gain a night can show."""
    replicates, metric = project.config.replicates, measured.metric
    forecast = Forecast(hours, measured.seconds, 0.0, replicates, RERUNS, measured=True)
    sigma = measured.sigma
    noise = Noise(sigma, len(measured.draws) - 1, (WeightedModel(STEADY, 1.0, sigma),))
    rule = judge.rule_for(project.config.judge, metric)
    power = require(find_power(rule, noise, replicates, forecast, metric))
    return f"{forecast.trials_per_hour:.0f} trials an hour; {hours:g} h can show {power.words}"
