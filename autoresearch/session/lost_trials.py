"""Trials that were lost with their process or node: where not to repeat them, and when it is the version's fault."""

from collections.abc import Sequence

from autoresearch.ledger import Experiment, Trial
from autoresearch.ledger.node_trials import LOST
from autoresearch.measure.result import Result
from autoresearch.session.context import SessionContext

MAX_LOST = 3  # trials of one version


def lost_nodes(context: SessionContext, experiment: Experiment) -> list[str]:
    """Return the node of each trial of an experiment that was lost; empty where it is not known."""
    return _nodes(context.ledger.trials(context.id, experiment.id))


def _nodes(trials: Sequence[Trial]) -> list[str]:
    return [trial.result[LOST] for trial in trials if LOST in trial.result]


def blame(context: SessionContext, experiment: Experiment, result: Result) -> None:
    """Make a lost trial the crash of its version if too many were, on two nodes at least where there are two.

    Those before its last good trial do not count: an incumbent is measured all night, while nodes come and go. Nor does
    one that was lost before any node began; after too many of these, no trial can be run.
    """
    if result.loss is None:
        return
    trials = context.ledger.trials(context.id, experiment.id)
    good = max((number for number, trial in enumerate(trials, 1) if trial.outcome == "ok"), default=0)
    lost = [*_nodes(trials[good:]), result.loss.node]
    if len(lost) >= MAX_LOST and not any(lost[-MAX_LOST:]):
        result.loss = None  # an infra trial that is not repeated ends the session
        return
    nodes = [node for node in lost if node]
    if len(nodes) >= MAX_LOST and (len(set(nodes)) > 1 or not result.loss.others):
        where = f"{len(set(nodes))} nodes" if len(set(nodes)) > 1 else "the only node"
        result.outcome, result.reason = "crash", f"{len(nodes)} trials were lost on {where}, the last: {result.reason}"
