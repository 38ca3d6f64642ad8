"""Choose the trials that judge a version."""

from collections.abc import Iterable, Sequence

from autoresearch.ledger.rows import FILLER, Trial
from autoresearch.text import plausible

SLOWER_SHARE = 0.01  # of the steps: rounding, and a step more or less at the bell
FRESH = ("base", "rerun", "sentinel", FILLER)  # purposes of trials that did not select what they measure
JUDGING = (*FRESH, "screen")  # purposes of trials that decide a verdict
MAX_FAILED = 2  # trials of an incumbent in a row, before its earlier scores must do


def counts(trial: Trial) -> bool:
    """Return whether a trial is completed and counts for a verdict.

    A filler that failed does not: it may end before it is cut short, where a good one would not (docs/judging.md).
    """
    if trial.purpose == FILLER:
        return trial.outcome in ("ok", "suspect")
    return trial.outcome not in (None, "infra") and trial.purpose in JUDGING


def judging(trials: Iterable[Trial]) -> list[Trial]:
    """Return the completed trials that count for a verdict."""
    return [trial for trial in trials if counts(trial)]


def is_slower(trials: Iterable[Trial], others: Iterable[Trial]) -> bool:
    """Return whether a version took clearly fewer steps than another in each of its trials, as train.py reported them.

    It is what train.py says of itself, so it may only count against a version.
    """
    ours, theirs = (list(filter(None, map(_steps, judging(group)))) for group in (trials, others))
    return bool(ours and theirs) and max(ours) < (1 - SLOWER_SHARE) * min(theirs)


def _steps(trial: Trial) -> float | None:
    reported = trial.result.get("reported")
    return plausible(reported.get("step")) if trial.outcome == "ok" and isinstance(reported, dict) else None


def by_experiment(trials: Iterable[Trial]) -> dict[int, list[Trial]]:
    groups: dict[int, list[Trial]] = {}
    for trial in trials:
        groups.setdefault(trial.experiment_id, []).append(trial)
    return groups


def fails_now(trials: Sequence[Trial]) -> bool:
    """Return whether the newest trials of an incumbent failed: then its earlier scores must do."""
    last = trials[-MAX_FAILED:]
    return len(last) == MAX_FAILED and all(trial.outcome != "ok" for trial in last)


def scoring_trials(trials: Iterable[Trial]) -> list[Trial]:
    """Return the good trials that make up a score: without the screening, if others exist."""
    good = [trial for trial in judging(trials) if trial.outcome == "ok"]
    return [trial for trial in good if trial.purpose in FRESH] or good
