"""Past experiments as agents see them: as data, as a table of bounded size, and summarised by category.

Differences are against the incumbent that the experiment had to beat, negative ones better (metric.py).
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from itertools import zip_longest
from operator import attrgetter
from statistics import fmean

from autoresearch.brief.tokens import count_tokens, table_cell, take_fitting
from autoresearch.files import JsonObject
from autoresearch.ledger import BROKEN, Experiment
from autoresearch.ledger.categories import categories_of
from autoresearch.ledger.rows import is_stopped, is_unmeasured
from autoresearch.ledger.statements import PREDICTIONS, describe_odds
from autoresearch.ledger.unmeasured import CONFLICTS
from autoresearch.metric import VAL_BPB, Metric

MAX_CHANGE_CHARS = (600, 300, 180, 110)  # of the change, in a table; the first at which all rows fit
MAX_VERDICT_CHARS = (200, 150, 90, 60)  # likewise
SHORT = len(MAX_CHANGE_CHARS) - 1
MAX_GROUP = 200  # experiments of a group that are considered: more never fit
MIN_ROW_TOKENS = 12
MEASURED_APART = ("steps", "forecast", "metric")  # fields that are no columns of an experiment
SHARES = {"Newest": 0.4, "Best": 0.2, "Near misses": 0.2, "Failed and worst": 0.2}  # of a table that cannot hold all
TABLE_HEAD = ["| n | category | change | predicted | measured | steps | verdict |", "|---|---|---|---|---|---|---|"]
UNITS = """\
Predicted and measured: {quantity} against the incumbent of that time, {better} is better. Steps: as {program} \
reported them. Odds: of a gain, after all trials of the experiment.

"""


@dataclass(frozen=True)
class PastExperiment:
    """One settled experiment, as an agent sees it; `delta` is None if there is no score to compare.

    `sigma` is the standard deviation of one trial, as estimated then. `line` is the experiment that began the line of
    inquiry, `mode` the opening that was taken (see openings.py), None if none were offered. `steps` are the mean of
    its trials, as train.py reported them. `forecast` is the difference to expect of one that was stopped early.
    """

    n: int
    verdict: str
    reason: str
    agent: str
    category: str
    hypothesis: str
    params: JsonObject = field(default_factory=dict)
    val_bpb: float | None = None
    delta: float | None = None
    sigma: float | None = None
    predicted: float | None = None
    change: str = ""
    p_gain: float | None = None
    near_miss: bool = False
    parent: int | None = None
    origin: int | None = None
    line: int | None = None
    mode: str | None = None
    steps: float | None = None
    forecast: float | None = None
    metric: Metric = VAL_BPB
    arm: str | None = None

    @cached_property
    def categories(self) -> tuple[str, ...]:
        return categories_of(self.category, self.change) or ("other",)

    @property
    def unmeasured(self) -> bool:
        """Return whether it was dropped before a trial said something: superseded, or lost to the deadline."""
        return is_unmeasured(self.verdict, self.val_bpb, self.delta, self.p_gain)

    @property
    def stopped(self) -> bool:
        """Return whether its trial was stopped early, because its curve said that it had lost."""
        return is_stopped(self.verdict, self.delta, self.p_gain)

    @property
    def conflicts(self) -> bool:
        """Return whether it was dropped because its change could not be made to a newer incumbent."""
        return self.unmeasured and self.reason.endswith(CONFLICTS)

    @classmethod
    def from_row(
        cls, row: Experiment, steps: float | None = None, forecast: float | None = None, metric: Metric = VAL_BPB
    ) -> "PastExperiment":
        """Take over a row of the ledger, with rounded scores: an agent gets a few bits less to overfit to."""
        values = {each.name: getattr(row, each.name) for each in fields(cls) if each.name not in MEASURED_APART}
        for name in ("verdict", "reason", "agent", "category", "hypothesis", "change"):
            values[name] = values[name] or ""
        rounded = {"val_bpb": metric.rounded_score, "delta": metric.rounded, "predicted": metric.rounded}
        for name, shorten in rounded.items():
            values[name] = None if values[name] is None else shorten(values[name])
        forecast = None if forecast is None or not row.stopped else metric.rounded(forecast)
        return cls(**{**values, "params": row.params or {}, "steps": steps, "forecast": forecast, "metric": metric})


def describe_change(past: PastExperiment) -> str:
    """Return the changed constants by name if there is no other change, otherwise the hypothesis."""
    other_changes = past.change.endswith(" lines") or not past.change
    return past.hypothesis if other_changes and past.hypothesis else past.change


def _describe_whole(past: PastExperiment) -> str:
    """Return the changed constants by name, if there is no other change, and the hypothesis."""
    change = describe_change(past)
    name = change.split(" ")[0]
    return change if not past.hypothesis or past.hypothesis.startswith(name) else f"{change}: {past.hypothesis}"


def _describe_delta(delta: float | None, metric: Metric) -> str:
    return "-" if delta is None else metric.change(delta)


def _units(metric: Metric) -> str:
    program = "train.py" if metric == VAL_BPB else "the command"
    return UNITS.format(quantity=metric.quantity, better=metric.better, program=program)


def row(past: PastExperiment, size: int = SHORT) -> str:
    """Return one line of a table; `size` is the index of its limits, 0 for the longest."""
    change = table_cell(describe_change(past) if size == SHORT else _describe_whole(past), MAX_CHANGE_CHARS[size])
    ending = table_cell(describe_verdict(past), MAX_VERDICT_CHARS[size])
    steps = "-" if past.steps is None else f"{past.steps:.0f}"
    deltas = (_describe_delta(delta, past.metric) for delta in (past.predicted, past.delta))
    cells = (past.n, past.category, change, *deltas, steps, ending)
    return f"| {' | '.join(map(str, cells))} |"


def describe_verdict(past: PastExperiment) -> str:
    """Return the verdict with the odds of a gain, or with the reason why there is no score."""
    if past.verdict in BROKEN or past.stopped:
        return f"{past.verdict}: {past.reason}"
    verdict = f"{past.verdict}, near miss" if past.near_miss else past.verdict
    return verdict if past.p_gain is None else f"{verdict}, odds {describe_odds(past.p_gain)}"


def table(history: Sequence[PastExperiment], max_tokens: int) -> str:
    """Return all experiments, or the most informative ones and a summary if `max_tokens` are too few for all.

    The hypotheses are whole where there is room. Experiments that were never measured are left out.
    """
    tried = [past for past in history if past.n > 0 and not past.unmeasured]
    if not tried:
        return "none yet"
    if len(tried) * MIN_ROW_TOKENS < max_tokens:
        for size in range(len(MAX_CHANGE_CHARS)):
            text = _units(tried[0].metric) + "\n".join([*TABLE_HEAD, *(row(past, size) for past in tried)])
            if count_tokens(text) <= max_tokens:
                return text
    return _table_of_groups(tried, max_tokens)


def _table_of_groups(tried: Sequence[PastExperiment], max_tokens: int) -> str:
    units = _units(tried[0].metric)
    parts = [f"{units}{len(tried)} experiments, the most informative ones first."]
    summary = "\n".join(["All, by category:", "", *summarise_categories(tried)])
    heads = count_tokens("\n".join(TABLE_HEAD)) * (1 + len(SHARES))
    left = max_tokens - count_tokens(summary) - count_tokens(units) - heads
    shown: set[int] = set()
    for name, group in _groups(tried).items():
        new = [past for past in group if past.n not in shown]
        lines = take_fitting(map(row, new), int(SHARES[name] * left))
        shown.update(past.n for past in new[: len(lines)])
        if lines:
            parts.append("\n".join([f"{name}:", "", *TABLE_HEAD, *lines]))
    return "\n\n".join([*parts, summary])


def summarise_categories(tried: Sequence[PastExperiment]) -> list[str]:
    """Return a line for each category: counts of tried, kept and failed, and the mean and the best difference.

    An experiment counts in each of its categories.
    """
    groups: dict[str, list[PastExperiment]] = {}
    for past in tried:
        for category in past.categories:
            groups.setdefault(category, []).append(past)
    return [f"- {category}: {_summarise(groups[category])}" for category in sorted(groups)]


def _summarise(group: Sequence[PastExperiment]) -> str:
    deltas = [past.delta for past in group if past.delta is not None]
    kept = sum(past.verdict == "keep" for past in group)
    failed = sum(past.verdict in BROKEN for past in group)
    change = group[0].metric.change
    measured = f", mean {change(sum(deltas) / len(deltas))}, best {change(min(deltas))}" if deltas else ""
    return f"{len(group)} tried, {kept} kept, {failed} failed{measured}"


def calibration(history: Sequence[PastExperiment], agent: str, arm: str | None = None) -> str:
    """Compare an agent's predictions with what was measured; empty if there are fewer than three."""
    own = [(past.predicted, past.delta) for past in history if (past.agent, past.arm) == (agent, arm)]
    pairs = [(predicted, delta) for predicted, delta in own if predicted is not None and delta is not None]
    if len(pairs) < PREDICTIONS:
        return ""
    means = [history[0].metric.change(fmean(values)) for values in zip(*pairs, strict=True)]
    right = sum((predicted < 0) == (measured < 0) for predicted, measured in pairs)
    return (
        f"Of your {len(pairs)} predictions that were measured, {right} had the right sign. On average you predicted"
        f" {means[0]}; measured was {means[1]}."
    )


def _groups(tried: Sequence[PastExperiment]) -> dict[str, list[PastExperiment]]:
    """Return the first experiments of each group, the most informative ones first."""
    measured = [past for past in tried if past.delta is not None]
    by_delta = attrgetter("delta")
    worst = heapq.nlargest(MAX_GROUP, measured, key=by_delta)
    failed = [past for past in reversed(tried) if past.verdict in BROKEN][:MAX_GROUP]
    return {
        "Newest": list(tried[: -MAX_GROUP - 1 : -1]),
        "Best": [past for past in reversed(tried) if past.verdict == "keep"][:MAX_GROUP],
        "Near misses": heapq.nsmallest(MAX_GROUP, (past for past in measured if past.near_miss), key=by_delta),
        "Failed and worst": [past for pair in zip_longest(failed, worst) for past in pair if past is not None],
    }
