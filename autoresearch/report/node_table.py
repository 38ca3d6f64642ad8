"""Lay out the nodes of a cluster, and what each has run, as tables."""

from collections.abc import Sequence

from autoresearch.files import JsonObject
from autoresearch.ledger.node_trials import NodeTrials
from autoresearch.report.blocks import Table
from autoresearch.report.format import duration

NUMBERS = frozenset({"slots", "trials", "lost", "sigma", "an hour", "$ an hour"})


def table(nodes: Sequence[JsonObject]) -> Table:
    """Lay out the objects of `nodes --json`, without columns that are empty for all."""
    columns = {
        "node": [str(node["node"]) for node in nodes],
        "slots": [str(node["slots"]) for node in nodes],
        "kind": [str(node["kind"] or "") for node in nodes],
        "pool": [str(node["pool"] or "") for node in nodes],
        "grade": [str(node["grade"] or "") for node in nodes],
        "trials": [str(node["trials"] or "") for node in nodes],
        "lost": [str(node["lost"] or "") for node in nodes],
        "sigma": [_number(node["sigma"], ".4f") for node in nodes],
        "an hour": [_number(node["trials_per_hour"], ".1f") for node in nodes],
        "$ an hour": [_number(node["usd_per_hour"], ".2f") for node in nodes],
        "left out": [str(node["left_out"] or "") for node in nodes],
    }
    columns = {name: column for name, column in columns.items() if any(column)}
    return Table(list(columns), list(zip(*columns.values(), strict=True)), NUMBERS)


def by_node(nodes: Sequence[NodeTrials]) -> Table:
    """Lay out the trials of a session by node."""
    columns = {
        "node": [n.node for n in nodes],
        "pool": [n.pool or "" for n in nodes],
        "trials": [str(n.trials) for n in nodes],
        "good": [str(n.ok) for n in nodes],
        "lost": [str(n.lost) for n in nodes],
        "sigma": [_number(n.sigma, ".4f") for n in nodes],
        "a trial": [duration(n.seconds or 0.0) for n in nodes],
    }
    if not any(columns["pool"]):
        del columns["pool"]
    return Table(list(columns), list(zip(*columns.values(), strict=True)), frozenset(columns) - {"node", "pool"})


def _number(value: object, form: str) -> str:
    return format(value, form) if isinstance(value, float) else ""
