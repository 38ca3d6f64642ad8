"""Experiments that may be kept without a gain: the function of their rival, or less code than it has."""

from collections.abc import Iterable

from autoresearch import judge
from autoresearch.ledger import Experiment, Trial
from autoresearch.ledger.categories import EQUAL_SCORE
from autoresearch.ledger.rows import LESS_CODE, SAME_AS, SAME_FUNCTION
from autoresearch.ledger.trials import is_slower
from autoresearch.source import size


def why_at_equal_score(
    rule: str, experiment: Experiment, rival: Experiment, ours: Iterable[Trial], theirs: Iterable[Trial]
) -> str | None:
    """Return why an experiment may be kept without a gain, None if it may not; `ours` and `theirs` are the trials."""
    if rule != "greedy" and _is_same(experiment, rival) and not is_slower(ours, theirs):
        return SAME_FUNCTION
    if experiment.mode in judge.SIMPLER_MODES or (rule != "greedy" and _is_simpler(experiment, rival)):
        return LESS_CODE
    return None


def allowance_left(keeps: Iterable[Experiment]) -> float:
    """Return the loss in sigma that is left to keeps without a gain, after those of a session."""
    losses = (max(row.delta or 0.0, 0.0) / row.sigma for row in keeps if row.n > 0 and row.sigma)
    return judge.ALLOWANCE_SIGMA - sum(losses)


def _is_same(experiment: Experiment, rival: Experiment) -> bool:
    """Return whether a change that is not meant as a gain computes the function of its rival."""
    return experiment.category in EQUAL_SCORE and experiment.params.get(SAME_AS) == rival.n


def _is_simpler(experiment: Experiment, rival: Experiment) -> bool:
    ours, theirs = size.size_or_none(experiment.text), size.size_or_none(rival.text)
    return bool(ours and theirs and ours.is_smaller_than(theirs))
