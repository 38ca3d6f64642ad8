"""Categories of a change: the one that its agent named, and those of the constants that it moves."""

import re
from collections.abc import Collection

from autoresearch.metric import VAL_BPB, Metric

OTHER = "other"
CATEGORIES = (
    "architecture",
    "optimiser",
    "schedule",
    "data-order",
    "numerics",
    "throughput",
    "regularisation",
    "simplification",
    "bug",
    "robustness",
    OTHER,
)
EQUAL_SCORE = ("bug", "robustness", "simplification")  # categories that may be kept without a gain

_MOVED = re.compile(r"(?:^|, )([A-Za-z_]\w*) [^,]* -> ")  # in the line of source/diff.py that sums up a change
_OF_CONSTANTS = [
    (r"WARM|COOL|FINAL|SCHEDULE", "schedule"),
    (r"WEIGHT_DECAY|(^|_)(LR|WD|EPS|BETAS?\d*|MOMENTUM|NESTEROV|NS)(_|$)|LEARNING", "optimiser"),
    (r"DROPOUT|SMOOTHING", "regularisation"),
    (r"DECAY|BATCH|ACCUM", "schedule"),
    (r"DEPTH|LAYER|WIDTH|DIM|HEAD|WINDOW|ASPECT|MLP|EXPAND|EMBED|RANK|ROPE", "architecture"),
    (r"SOFTCAP|CLIP|SCALE", "numerics"),
]


def possible_categories(metric: Metric, used: Collection[str]) -> list[str]:
    """Return the categories in which something can be tried: those that were used, where no model is trained."""
    return [name for name in CATEGORIES if metric.name == VAL_BPB.name or name in used]


def category_of_constant(name: str) -> str:
    return next((found for pattern, found in _OF_CONSTANTS if re.search(pattern, name)), OTHER)


def categories_of(named: str | None, change: str | None) -> tuple[str, ...]:
    """Return the categories of a change, the named ones first; `change` is its summary by constants.

    A pool is named after all its parts, between commas. It is `other` only if there is nothing else to say.
    """
    moved = [category_of_constant(name) for name in _MOVED.findall(change or "")]
    found = dict.fromkeys([*(named.split(", ") if named else []), *moved])
    return tuple(each for each in found if each != OTHER) or tuple(found)
