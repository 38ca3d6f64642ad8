"""Choose the trials that judge a version."""

from collections.abc import Iterable

from autoresearch.ledger.rows import Trial

FRESH = ("base", "rerun", "sentinel")  # purposes of trials that did not select what they measure
JUDGING = (*FRESH, "screen")  # purposes of trials that decide a verdict


def judging(trials: Iterable[Trial]) -> list[Trial]:
    """Return the completed trials that count for a verdict."""
    return [trial for trial in trials if trial.outcome not in (None, "infra") and trial.purpose in JUDGING]


def by_experiment(trials: Iterable[Trial]) -> dict[int, list[Trial]]:
    groups: dict[int, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.experiment_id, []).append(trial)
    return groups


def scoring_trials(trials: Iterable[Trial]) -> list[Trial]:
    """Return the good trials that make up a score: without the screening, if others exist."""
    good = [trial for trial in judging(trials) if trial.outcome == "ok"]
    return [trial for trial in good if trial.purpose in FRESH] or good
