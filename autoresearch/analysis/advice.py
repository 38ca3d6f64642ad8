"""Suggest lines for program.md from counts in the ledger, without text of agents.

A human decides: nothing here writes the file.
"""

from collections.abc import Iterator, Sequence

from autoresearch.ledger.breakdown import GroupSums
from autoresearch.ledger.queries import ExperimentRow
from autoresearch.ledger.rows import CATEGORIES
from autoresearch.source.diff import unified_diff

ENOUGH_TRIES = 8  # without a near miss, after which a category may be left alone
PROMISING_ODDS = 0.8  # of a near miss that is named
COMBINED = 4  # near misses that one line asks to combine
FAILED_SHARE = 0.2  # that is worth a line
CATCH_ALL = ("bug", "other")  # categories that are never suggested


def lines(rows: Sequence[ExperimentRow], by_category: Sequence[GroupSums], sigma: float | None) -> list[str]:
    tried = [row for row in rows if row.n > 0 and row.verdict]
    return [*_near_misses(tried), *_categories(tried, by_category), *_failures(by_category), *_noise(tried, sigma)]


def patch(program: str, advice: Sequence[str], tag: str, name: str = "program.md") -> str:
    """Return a patch for `git apply` that adds lines to program.md; empty without lines."""
    if not advice:
        return ""
    section = "".join(f"- {line}\n" for line in advice)
    before = f"{program.rstrip()}\n\n" if program.strip() else ""
    return unified_diff(program, f"{before}## What session {tag} showed\n\n{section}", name)


def _near_misses(tried: Sequence[ExperimentRow]) -> Iterator[str]:
    near = [row for row in tried if row.near_miss and (row.p_gain or 0.0) >= PROMISING_ODDS]
    good = [str(row.n) for row in sorted(near, key=lambda row: row.delta or 0.0)[:COMBINED]]
    if len(good) > 1:
        yield f"Combine what experiments {', '.join(good)} did: each was probably better, none for certain."


def _categories(tried: Sequence[ExperimentRow], by_category: Sequence[GroupSums]) -> Iterator[str]:
    for group in by_category:
        if group.key in CATEGORIES and group.experiments >= ENOUGH_TRIES and not group.kept + group.near_misses:
            yield f"Leave {group.key} changes alone: {group.experiments} were tried, none came near."
    known = {group.key for group in by_category}
    never = [name for name in CATEGORIES if name not in known and name not in CATCH_ALL]
    if never and len(tried) >= ENOUGH_TRIES:
        yield f"Nothing was tried yet in: {', '.join(never)}."


def _failures(by_category: Sequence[GroupSums]) -> Iterator[str]:
    failed, tried = sum(group.failed for group in by_category), sum(group.experiments for group in by_category)
    if failed >= ENOUGH_TRIES and failed >= FAILED_SHARE * tried:
        yield f"Make sure that a change runs: {failed} of {tried} gave no score."


def _noise(tried: Sequence[ExperimentRow], sigma: float | None) -> Iterator[str]:
    unclear = sum(row.near_miss for row in tried)
    if sigma and unclear >= ENOUGH_TRIES and 4 * unclear >= len(tried):
        noise = f"the noise of one trial, {sigma:.4f} bits per byte"
        yield f"Prefer bold changes: {unclear} of {len(tried)} were within {noise}."
