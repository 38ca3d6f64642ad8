"""Suggest lines for program.md from counts in the ledger, without text of agents.

A human decides: nothing here writes the file.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from autoresearch.analysis.proportion import proportion
from autoresearch.files import JsonObject
from autoresearch.ledger import statements as rules
from autoresearch.ledger.breakdown import GroupSums
from autoresearch.ledger.categories import CATEGORIES, possible_categories
from autoresearch.ledger.queries import ExperimentRow
from autoresearch.ledger.rows import UNSCORED
from autoresearch.source.diff import unified_diff

COMBINED = 4  # near misses that one line asks to combine
CATCH_ALL = ("bug", "robustness", "other")  # categories that are never suggested


@dataclass(frozen=True)
class Suggestion:
    """One line for program.md, and the evidence for it in words."""

    line: str
    evidence: str

    def as_json(self) -> JsonObject:
        """Return what `advice --json` prints (docs/json.md)."""
        return {"line": self.line, "evidence": self.evidence}


def suggestions(
    rows: Sequence[ExperimentRow],
    near_misses: Sequence[ExperimentRow],
    by_category: Sequence[GroupSums],
    sigma: float | None,
) -> list[Suggestion]:
    """Return what the counts allow to say; `near_misses` are those that are worth another look."""
    tried = [row for row in rows if row.n > 0 and row.verdict and not row.unmeasured]
    return [*_near_misses(near_misses), *_categories(tried, by_category), *_failures(tried), *_noise(tried, sigma)]


def read_program(path: Path) -> str:
    """Return program.md as it is now, with its own line ends; empty if it cannot be read."""
    with suppress(OSError):
        return path.read_bytes().decode("utf-8", "replace")
    return ""


def bullets(advice: Sequence[Suggestion]) -> str:
    """Return the suggested lines as a list."""
    return "".join(f"- {each.line}\n" for each in advice)


def add_to(program: str, advice: Sequence[Suggestion], tag: str) -> str:
    """Return program.md with the suggested lines at its end, with its own line ends."""
    end = "\r\n" if "\r\n" in program else "\n"
    before = f"{program.rstrip()}{2 * end}" if program.strip() else ""
    return before + f"## What session {tag} showed\n\n{bullets(advice)}".replace("\n", end)


def patch(program: str, advice: Sequence[Suggestion], tag: str, name: str = "program.md") -> str:
    """Return a patch for `git apply` that adds lines to program.md; empty without lines."""
    return unified_diff(program, add_to(program, advice, tag), name) if advice else ""


def _near_misses(near_misses: Sequence[ExperimentRow]) -> Iterator[Suggestion]:
    good = [row for row in near_misses if (row.p_gain or 0.0) >= rules.COMBINE_ODDS][:COMBINED]
    if len(good) > 1:
        numbers = ", ".join(str(row.n) for row in good)
        odds = ", ".join(f"{row.n}: {rules.describe_odds(row.p_gain)}" for row in good)
        line = f"Combine what experiments {numbers} did: each was probably better, none for certain."
        yield Suggestion(line, f"probability of a gain, by experiment: {odds}")


def _categories(tried: Sequence[ExperimentRow], by_category: Sequence[GroupSums]) -> Iterator[Suggestion]:
    for group in by_category:
        if group.key in CATEGORIES and rules.is_dead_end(group.scored, group.kept, group.near_misses):
            line = f"Leave {group.key} changes alone: {group.scored} were measured, none was probably better."
            yield Suggestion(line, f"kept: {_describe_share(0, group.scored)}")
    known = {category for row in tried for category in row.categories}
    possible = possible_categories(tried[0].metric, known) if tried else []
    never = [name for name in possible if name not in known and name not in CATCH_ALL]
    scored = sum(row.delta is not None for row in tried)
    if never and scored >= rules.UNTRIED_SCORES:
        evidence = f"{scored} experiments were measured; nothing is known of these categories"
        yield Suggestion(f"Nothing was tried yet in: {', '.join(never)}.", evidence)


def _failures(tried: Sequence[ExperimentRow]) -> Iterator[Suggestion]:
    failed = sum(row.verdict in UNSCORED for row in tried)
    if failed >= rules.FAILED_TRIES and failed >= rules.FAILED_SHARE * len(tried):
        line = f"Make sure that a change runs: {failed} of {len(tried)} gave no score."
        yield Suggestion(line, f"without a score: {_describe_share(failed, len(tried))}")


def _noise(tried: Sequence[ExperimentRow], sigma: float | None) -> Iterator[Suggestion]:
    deltas = [row.delta for row in tried if row.delta is not None and row.verdict != "keep"]
    unclear = sum(abs(delta) < sigma for delta in deltas) if sigma else 0
    if sigma and unclear >= rules.WITHIN_NOISE and unclear >= rules.WITHIN_NOISE_SHARE * len(tried):
        metric = tried[0].metric
        noise = f"the noise of one trial, {metric.with_unit(metric.spread(sigma))}"
        line = f"Prefer bold changes: {unclear} of {len(tried)} differed from the incumbent by less than {noise}."
        yield Suggestion(line, f"within the noise of one trial: {_describe_share(unclear, len(tried))}")


def _describe_share(count: int, tried: int) -> str:
    low, high = proportion(count, tried)
    return f"{count} of {tried}, between {100 * low:.0f} % and {100 * high:.0f} % (95 %)"
