"""Trials of a session by the node that ran them."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from autoresearch.ledger.rows import REFERENCE, Trial
from autoresearch.ledger.trials import FRESH

NODES = "nodes"  # kind of the events of a cluster
LOST = "lost_on"  # in the record of a trial, by `Result.place`


@dataclass(frozen=True)
class NodeTrials:
    """Trials on one node; `seconds` is the mean length of a good one, `sigma` that of single scores there.

    `pool` is the card of its pool, where a session has two.
    """

    node: str
    trials: int
    ok: int
    lost: int
    seconds: float | None
    sigma: float | None
    pool: str | None = None

    def describe(self) -> str:
        lost = f", {self.lost} lost" if self.lost else ""
        pool = f" ({self.pool})" if self.pool else ""
        return f"{self.node}{pool}: {self.trials} trials{lost}"


def trials_by_node(trials: Iterable[Trial]) -> list[NodeTrials]:
    """Return what each node has run, in the order of their names; trials of this machine name none."""
    groups: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        if node := trial.result.get("node"):
            groups[str(node)].append(trial)
    return [_sum_up(node, groups[node]) for node in sorted(groups)]


def _sum_up(node: str, trials: list[Trial]) -> NodeTrials:
    good = [trial for trial in trials if trial.outcome == "ok" and trial.ended is not None]
    lasted = [trial.ended - trial.started for trial in good if trial.ended is not None]
    lost = sum(LOST in trial.result for trial in trials)
    seconds, pool = fmean(lasted) if lasted else None, trials[-1].result.get("pool")
    return NodeTrials(node, len(trials), len(good), lost, seconds, _pooled_sigma(good), pool)


def _pooled_sigma(trials: Iterable[Trial]) -> float | None:
    """Return the standard deviation of single scores within versions; None without two of one version."""
    scores: dict[int, list[float]] = defaultdict(list)
    for trial in trials:
        if trial.purpose in (*FRESH, REFERENCE) and trial.val_bpb is not None:
            scores[trial.experiment_id].append(trial.val_bpb)
    dof = sum(len(group) - 1 for group in scores.values())
    if not dof:
        return None
    return math.sqrt(sum((each - fmean(group)) ** 2 for group in scores.values() for each in group) / dof)
