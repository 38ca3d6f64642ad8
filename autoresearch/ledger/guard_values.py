"""The numbers beside the metric that have a limit, as the trials of a version gave them."""

from collections.abc import Iterable
from statistics import fmean

from autoresearch.ledger.rows import Trial


def guard_values(trials: Iterable[Trial]) -> dict[str, list[float]]:
    """Return the values of good trials by the name of the guard."""
    values: dict[str, list[float]] = {}
    for trial in trials:
        for name, value in (trial.result.get("guards") or {}).items() if trial.outcome == "ok" else ():
            values.setdefault(name, []).append(value)
    return values


def guard_means(trials: Iterable[Trial]) -> dict[str, float]:
    return {name: fmean(values) for name, values in guard_values(trials).items()}


def has_passed(trials: Iterable[Trial]) -> bool:
    """Return whether a version has passed the commands that are guards: they run once."""
    return any(trial.result.get("passed") for trial in trials)
