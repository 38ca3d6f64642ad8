"""Questions about which trials count."""

from collections.abc import Iterable

from autoresearch.ledger import Trial

FRESH = ("base", "rerun", "sentinel")  # purposes of trials that did not select what they measure
JUDGING = (*FRESH, "screen")  # those of the honest total decide nothing


def judging(trials: Iterable[Trial]) -> list[Trial]:
    """The trials that ended by themselves and may judge."""
    return [trial for trial in trials if trial.outcome not in (None, "infra") and trial.purpose in JUDGING]


def by_experiment(trials: Iterable[Trial]) -> dict[int, list[Trial]]:
    """Trials by the id of their experiment."""
    groups: dict[int, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.experiment_id, []).append(trial)
    return groups


def telling(trials: Iterable[Trial]) -> list[Trial]:
    """The good trials that a version is known by: without the one that selected it, where there is a fresh one."""
    good = [trial for trial in judging(trials) if trial.outcome == "ok"]
    return [trial for trial in good if trial.purpose in FRESH] or good
