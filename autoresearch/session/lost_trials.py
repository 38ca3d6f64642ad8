"""Trials that were lost with their process or node: where not to repeat them, and when it is the version's fault."""

from autoresearch.ledger import Experiment
from autoresearch.ledger.node_trials import LOST
from autoresearch.measure.result import Result
from autoresearch.session.context import SessionContext

MAX_LOST = 3  # trials of one version


def lost_nodes(context: SessionContext, experiment: Experiment) -> list[str]:
    """Return the node of each trial of an experiment that was lost; empty where it is not known."""
    trials = context.ledger.trials(context.id, experiment.id)
    return [trial.result[LOST] for trial in trials if LOST in trial.result]


def blame(context: SessionContext, experiment: Experiment, result: Result) -> None:
    """Make a lost trial the crash of its version if too many were, on two nodes at least where there are two.

    A version is not to blame for those that were lost before any node began: after too many, no trial can be run.
    """
    if result.loss is None:
        return
    lost = [*lost_nodes(context, experiment), result.loss.node]
    if len(lost) >= MAX_LOST and not any(lost[-MAX_LOST:]):
        result.loss = None  # an infra trial that is not repeated ends the session
        return
    nodes = [node for node in lost if node]
    if len(nodes) >= MAX_LOST and (len(set(nodes)) > 1 or not result.loss.others):
        where = f"{len(set(nodes))} nodes" if len(set(nodes)) > 1 else "the only node"
        result.outcome, result.reason = "crash", f"{len(nodes)} trials were lost on {where}, the last: {result.reason}"
