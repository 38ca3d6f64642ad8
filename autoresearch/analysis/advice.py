"""What the ledger says about the next night, as lines for program.md. No words of an agent are in them.

A human decides: nothing here writes the file.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from autoresearch.ledger.rows import CATEGORIES
from autoresearch.source.diff import unified_diff

Row = dict[str, Any]

ENOUGH = 8  # tries without a near miss after which a category may be left alone
PROMISING = 0.8  # odds of a near miss that is named
TOGETHER = 4  # near misses that one line asks to combine
OFTEN = 0.2  # share of failures that is worth a line
CATCH_ALL = ("bug", "other")  # categories that nobody is sent to


def lines(rows: Sequence[Row], by_category: Sequence[Row], sigma: float | None) -> list[str]:
    """What follows from counts alone; `rows` are those of `log --json`, the base among them or not."""
    tried = [row for row in rows if row["n"] > 0 and row["verdict"]]
    return [*_near_misses(tried), *_categories(tried, by_category), *_failures(by_category), *_noise(tried, sigma)]


def patch(program: str, found: Sequence[str], tag: str, name: str = "program.md") -> str:
    """The lines at the end of program.md, as a patch that `git apply` takes; nothing for no lines."""
    if not found:
        return ""
    section = "".join(f"- {line}\n" for line in found)
    before = f"{program.rstrip()}\n\n" if program.strip() else ""
    return unified_diff(program, f"{before}## What session {tag} showed\n\n{section}", name)


def _near_misses(tried: Sequence[Row]) -> Iterator[str]:
    near = [row for row in tried if row["near_miss"] and (row["p_gain"] or 0.0) >= PROMISING]
    good = [str(row["n"]) for row in sorted(near, key=lambda row: row["delta"] or 0.0)[:TOGETHER]]
    if len(good) > 1:
        yield f"Combine what experiments {', '.join(good)} did: each was probably better, none for certain."


def _categories(tried: Sequence[Row], by_category: Sequence[Row]) -> Iterator[str]:
    for group in by_category:
        if (
            group["category"] in CATEGORIES
            and group["experiments"] >= ENOUGH
            and not group["kept"] + group["near_misses"]
        ):
            yield f"Leave {group['category']} changes alone: {group['experiments']} were tried, none came near."
    known = {group["category"] for group in by_category}
    never = [name for name in CATEGORIES if name not in known and name not in CATCH_ALL]
    if never and len(tried) >= ENOUGH:
        yield f"Nothing was tried yet in: {', '.join(never)}."


def _failures(by_category: Sequence[Row]) -> Iterator[str]:
    failed, tried = (sum(group[name] for group in by_category) for name in ("failed", "experiments"))
    if failed >= ENOUGH and failed >= OFTEN * tried:
        yield f"Make sure that a change runs: {failed} of {tried} gave no score."


def _noise(tried: Sequence[Row], sigma: float | None) -> Iterator[str]:
    lost = sum(row["near_miss"] for row in tried)
    if sigma and lost >= ENOUGH and 4 * lost >= len(tried):
        noise = f"the noise of one trial, {sigma:.4f} bits per byte"
        yield f"Prefer bold changes: {lost} of {len(tried)} could not be told from {noise}."
