"""What was tried, as agents see it: past experiments as data, as a table that fits, and as sums by category."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from autoresearch.brief.tokens import cell, fitting, tokens
from autoresearch.ledger import BROKEN, Experiment

WORDS = 110  # characters of what was changed, in a table
FEW = 200  # experiments of a group that are looked at: more never fit
SHORTEST = 12  # tokens of a row, at least
SHARES = {"Newest": 0.4, "Best": 0.2, "Near misses": 0.2, "Dead ends": 0.2}  # of a table that cannot hold all
HEAD = ["| n | category | change | predicted | measured | verdict |", "|---|---|---|---|---|---|"]


@dataclass(frozen=True)
class PastExperiment:
    """One settled experiment, as an agent sees it; `delta` is None where there is no score to compare.

    `sigma` is one standard deviation of a trial as it was known then. `line` is the experiment whose line of
    inquiry it goes on with, `mode` what was asked for (see search.py), None where nothing was.
    """

    n: int
    verdict: str
    reason: str
    agent: str
    category: str
    hypothesis: str
    params: dict[str, Any] = field(default_factory=dict)
    val_bpb: float | None = None
    delta: float | None = None
    sigma: float | None = None
    predicted: float | None = None
    change: str = ""
    near_miss: bool = False
    parent: int | None = None
    line: int | None = None
    mode: str | None = None

    @classmethod
    def of(cls, row: Experiment) -> "PastExperiment":
        """From a row of the ledger. Scores go out rounded: a few bits less to fit to."""
        return cls(
            n=row.n,
            verdict=row.verdict or "",
            reason=row.reason or "",
            agent=row.agent or "",
            category=row.category or "",
            hypothesis=row.hypothesis or "",
            params=row.params or {},
            val_bpb=_rounded(row.val_bpb),
            delta=_rounded(row.delta),
            sigma=row.sigma,
            predicted=_rounded(row.predicted),
            change=row.change or "",
            near_miss=row.near_miss,
            parent=row.parent,
            line=row.line,
            mode=row.mode,
        )

    @property
    def failed(self) -> bool:
        """Whether it has no score because something went wrong."""
        return self.verdict in BROKEN


def words(past: PastExperiment) -> str:
    """What was changed: the constants by name where that is all, otherwise what its author says."""
    counted = past.change.endswith(" lines") or not past.change
    return past.hypothesis if counted and past.hypothesis else past.change


def in_sigmas(delta: float | None, sigma: float | None) -> str:
    """A difference of scores, in standard deviations of one trial where they are known."""
    if delta is None:
        return "-"
    return f"{delta / sigma:+.1f} sigma" if sigma else f"{delta:+.4f}"


def row(past: PastExperiment) -> str:
    """One line of the table."""
    verdict = f"{past.verdict}, near miss" if past.near_miss else past.verdict
    why = f": {past.reason}" if past.failed else ""
    predicted, measured = (in_sigmas(value, past.sigma) for value in (past.predicted, past.delta))
    return f"| {past.n} | {past.category} | {cell(words(past), WORDS)} | {predicted} | {measured} | {cell(verdict + why, 60)} |"


def table(history: Sequence[PastExperiment], most: int) -> str:
    """The experiments in at most about `most` tokens.

    All of them, oldest first, if they fit. Otherwise the newest, the best, near misses and dead ends, and what
    came of the rest by category.
    """
    tried = [past for past in history if past.n > 0]
    if len(tried) * SHORTEST < most:
        rows = [*HEAD, *map(row, tried)]
        if len(fitting(rows, most)) == len(rows):
            return "\n".join(rows if tried else ["none yet"])
    return _telling(tried, most)


def _telling(tried: Sequence[PastExperiment], most: int) -> str:
    parts = [f"{len(tried)} experiments, the most telling ones first."]
    summary = "\n".join(["All, by category:", "", *by_category(tried)])
    room = most - tokens(summary) - tokens("\n".join(HEAD)) * (1 + len(SHARES))
    shown: set[int] = set()
    for name, found in _groups(tried).items():
        unseen = [past for past in found if past.n not in shown]
        lines = fitting(map(row, unseen), int(SHARES[name] * room))
        shown.update(past.n for past in unseen[: len(lines)])
        if lines:
            parts.append("\n".join([f"{name}:", "", *HEAD, *lines]))
    return "\n\n".join([*parts, summary])


def by_category(tried: Sequence[PastExperiment]) -> list[str]:
    """For each category: how many were tried, kept and failed, and the mean and the best of what was measured."""
    groups: dict[str, list[PastExperiment]] = {}
    for past in tried:
        groups.setdefault(past.category or "other", []).append(past)
    return [f"- {category}: {_sum(groups[category])}" for category in sorted(groups)]


def _sum(found: Sequence[PastExperiment]) -> str:
    deltas = [past.delta for past in found if past.delta is not None]
    kept = sum(past.verdict == "keep" for past in found)
    failed = sum(past.failed for past in found)
    measured = f", mean {sum(deltas) / len(deltas):+.4f}, best {min(deltas):+.4f}" if deltas else ""
    return f"{len(found)} tried, {kept} kept, {failed} failed{measured}"


def calibration(history: Sequence[PastExperiment], agent: str) -> str:
    """How an agent's predictions came out; empty before there are three."""
    pairs = [
        (past.predicted, past.delta)
        for past in history
        if past.agent == agent and past.predicted is not None and past.delta is not None
    ]
    if len(pairs) < 3:
        return ""
    right = sum((predicted < 0) == (measured < 0) for predicted, measured in pairs)
    return (
        f"Of your {len(pairs)} predictions that were measured, {right} had the right sign. On average you predicted"
        f" {sum(pair[0] for pair in pairs) / len(pairs):+.4f}; measured was {sum(pair[1] for pair in pairs) / len(pairs):+.4f}."
    )


def _groups(tried: Sequence[PastExperiment]) -> dict[str, list[PastExperiment]]:
    """The first few of each group, what tells most first."""
    measured = [past for past in tried if past.delta is not None]
    worst = heapq.nlargest(FEW, measured, key=_delta)
    failed = [past for past in reversed(tried) if past.failed][:FEW]
    return {
        "Newest": list(tried[: -FEW - 1 : -1]),
        "Best": [past for past in reversed(tried) if past.verdict == "keep"][:FEW],
        "Near misses": heapq.nsmallest(FEW, (past for past in measured if past.near_miss), key=_delta),
        "Dead ends": [past for pair in zip_longest(failed, worst) for past in pair if past is not None],
    }


def _delta(past: PastExperiment) -> float:
    return 0.0 if past.delta is None else past.delta


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
