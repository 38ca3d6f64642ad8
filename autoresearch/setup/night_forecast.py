"""What measurements before a first session say of a night."""

from collections.abc import Iterator

from autoresearch import judge
from autoresearch.judge.noise import STEADY, Noise, WeightedModel
from autoresearch.setup.calibration import EXACT, Calibration
from autoresearch.setup.forecast import RERUNS, Forecast
from autoresearch.setup.project import Project
from autoresearch.setup.session_power import find_power


def describe_noise(measured: Calibration) -> str:
    """Say how much the number of one version varies."""
    if measured.kind == EXACT:
        return "none: the number is exact, and the seed does not change it"
    cause = "the seed decides it" if measured.follows_seed else "also with one seed"
    return f"sigma {measured.sigma:.3g} ({cause})"


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


def describe_night(project: Project, measured: Calibration, name: str, hours: float) -> str:
    """Say how many trials an hour allows, and which gain a night can show."""
    replicates = project.config.replicates
    forecast = Forecast(hours, measured.seconds, 0.0, replicates, RERUNS, measured=True)
    many = f"{forecast.trials_per_hour:.0f} trials an hour, about {forecast.experiments} experiments in {hours:g} h"
    if measured.kind == EXACT:
        return f"{many}; any gain that the number shows counts"
    noise = Noise(measured.sigma, len(measured.draws) - 1, (WeightedModel(STEADY, 1.0, measured.sigma),))
    power = find_power(project.config.judge, noise, replicates, forecast)
    assert power is not None
    return f"{many}; it can show a gain of {power.gain:.3g} {name} ({100 * judge.POWER:.0f} % power)"
