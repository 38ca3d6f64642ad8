"""Suggest lines for program.md from counts in the ledger, without text of agents.

A human decides: nothing here writes the file.
"""

from collections.abc import Iterator, Sequence

from autoresearch.ledger import statements as rules
from autoresearch.ledger.breakdown import GroupSums
from autoresearch.ledger.queries import ExperimentRow
from autoresearch.ledger.rows import CATEGORIES, UNSCORED
from autoresearch.source.diff import unified_diff

COMBINED = 4  # near misses that one line asks to combine
CATCH_ALL = ("bug", "robustness", "other")  # categories that are never suggested


def lines(
    rows: Sequence[ExperimentRow],
    near_misses: Sequence[ExperimentRow],
    by_category: Sequence[GroupSums],
    sigma: float | None,
) -> list[str]:
    """Return what the counts allow to say; `near_misses` are those that are worth another look."""
    tried = [row for row in rows if row.n > 0 and row.verdict and not row.unmeasured]
    return [*_near_misses(near_misses), *_categories(tried, by_category), *_failures(tried), *_noise(tried, sigma)]


def patch(program: str, advice: Sequence[str], tag: str, name: str = "program.md") -> str:
    """Return a patch for `git apply` that adds lines to program.md; empty without lines."""
    if not advice:
        return ""
    section = "".join(f"- {line}\n" for line in advice)
    before = f"{program.rstrip()}\n\n" if program.strip() else ""
    return unified_diff(program, f"{before}## What session {tag} showed\n\n{section}", name)


def _near_misses(near_misses: Sequence[ExperimentRow]) -> Iterator[str]:
    good = [str(row.n) for row in near_misses if (row.p_gain or 0.0) >= rules.COMBINE_ODDS][:COMBINED]
    if len(good) > 1:
        yield f"Combine what experiments {', '.join(good)} did: each was probably better, none for certain."


def _categories(tried: Sequence[ExperimentRow], by_category: Sequence[GroupSums]) -> Iterator[str]:
    for group in by_category:
        if group.key in CATEGORIES and rules.is_dead_end(group.scored, group.kept, group.near_misses):
            yield f"Leave {group.key} changes alone: {group.scored} were measured, none was probably better."
    known = {category for row in tried for category in row.categories}
    never = [name for name in CATEGORIES if name not in known and name not in CATCH_ALL]
    if never and sum(row.delta is not None for row in tried) >= rules.UNTRIED_SCORES:
        yield f"Nothing was tried yet in: {', '.join(never)}."


def _failures(tried: Sequence[ExperimentRow]) -> Iterator[str]:
    failed = sum(row.verdict in UNSCORED for row in tried)
    if failed >= rules.FAILED_TRIES and failed >= rules.FAILED_SHARE * len(tried):
        yield f"Make sure that a change runs: {failed} of {len(tried)} gave no score."


def _noise(tried: Sequence[ExperimentRow], sigma: float | None) -> Iterator[str]:
    deltas = [row.delta for row in tried if row.delta is not None and row.verdict != "keep"]
    unclear = sum(abs(delta) < sigma for delta in deltas) if sigma else 0
    if sigma and unclear >= rules.WITHIN_NOISE and unclear >= rules.WITHIN_NOISE_SHARE * len(tried):
        metric = tried[0].metric
        noise = f"the noise of one trial, {metric.with_unit(metric.spread(sigma))}"
        yield f"Prefer bold changes: {unclear} of {len(tried)} differed from the incumbent by less than {noise}."
