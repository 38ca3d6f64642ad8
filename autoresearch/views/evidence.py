"""Tables of a report that sum up: trials, categories, lineage, how well effects were foreseen, advice."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from autoresearch.agents import CATEGORIES
from autoresearch.ledger import Trial
from autoresearch.views.blocks import Table, Words, safe
from autoresearch.views.words import duration

Row = dict[str, Any]

ENOUGH = 8  # tries without a near miss after which a category may be left alone
PROMISING = 0.8  # odds of a near miss that is named in the advice
LINEAGE = 60  # versions in the table of the lineage


def number(value: float | None) -> str:
    """A change of the score."""
    return "-" if value is None else f"{value:+.4f}"


def percent(share: float | None) -> str:
    """A probability."""
    return "-" if share is None else f"{100 * share:.0f} %"


def trials(found: Sequence[Trial]) -> Table:
    """Every trial with its seed and score; the holdout's where one was taken."""
    held = any(trial.result.get("holdout_bpb") is not None for trial in found)
    head = ["trial", "seed", "outcome", "val_bpb", *(["holdout"] if held else []), "lasted", "grade"]
    return Table(head, [_trial(trial, held) for trial in found], frozenset({"seed", "val_bpb", "holdout", "lasted"}))


def _trial(trial: Trial, held: bool) -> list[str]:
    result = trial.result
    outcome = f"{trial.outcome}{' (a claim)' if result.get('claimed') else ''}"
    lasted = duration(trial.ended - trial.started) if trial.ended is not None else "-"
    scores = [_score(trial.val_bpb), *([_score(result.get("holdout_bpb"))] if held else [])]
    return [trial.purpose, str(trial.seed), outcome, *scores, lasted, trial.grade or "-"]


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.6f}"


def categories(groups: Sequence[Row], tried: Sequence[Row]) -> Table:
    """Where tries were spent, and the nearest that each kind of change came; dead ends last."""
    nearest: dict[str, float] = {}
    for row in tried:
        if row["delta"] is not None and row["sigma"]:
            key = row["category"] or "-"
            nearest[key] = min(nearest.get(key, float("inf")), row["delta"] / row["sigma"])
    ranked = sorted(groups, key=lambda group: (-group["kept"], -group["near_misses"], -group["experiments"]))
    head = ["category", "tried", "kept", "near misses", "failed", "best change", "minutes", ""]
    return Table(head, [_category(group, nearest.get(group["category"])) for group in ranked], frozenset(head[1:7]))


def _category(group: Row, nearest: float | None) -> list[str]:
    best = "-" if nearest is None else f"{nearest:+.1f} sigma"
    dead = not group["kept"] and not group["near_misses"]
    counts = [str(group[name]) for name in ("experiments", "kept", "near_misses", "failed")]
    return [safe(group["category"], 40), *counts, best, f"{group['minutes']:.1f}", "dead end" if dead else ""]


def lineage(rows: Sequence[Row]) -> Table:
    """The versions that others were derived from, and what came of those."""
    children: dict[int, Counter[str]] = {}
    for row in rows:
        if row["parent"] is not None and row["verdict"]:
            verdict = "near miss" if row["near_miss"] else row["verdict"]
            children.setdefault(row["parent"], Counter())[verdict] += 1
    shown = [row for row in rows if row["n"] in children or row["verdict"] == "keep"][-LINEAGE:]
    head = ["version", "derived from", "val_bpb", "tried on it", "of these"]
    return Table(head, [_version(row, children.get(row["n"], Counter())) for row in shown], frozenset(head[:4]))


def _version(row: Row, children: Counter[str]) -> list[str]:
    parent = "-" if row["parent"] is None else str(row["parent"])
    came = ", ".join(f"{count} {verdict}" for verdict, count in children.most_common())
    score = "-" if row["val_bpb"] is None else f"{row['val_bpb']:.4f}"
    return [str(row["n"]), parent, score, str(children.total()), came]


def calibration(tried: Sequence[Row]) -> Iterator[Words]:
    """How well the effects were foreseen, over everything that was measured."""
    pairs = [(row["predicted"], row["delta"]) for row in tried if row["predicted"] is not None and row["delta"] is not None]
    if len(pairs) < 2:
        return
    foreseen, came = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    yield Words([f"Over {len(pairs)} experiments the agent expected {foreseen:+.4f} on average; {came:+.4f} came."])


def advice(groups: Sequence[Row], near_misses: Sequence[Row]) -> list[str]:
    """Lines for program.md that follow from counts alone; no words of an agent are in them."""
    lines = [
        f"Leave {group['category']} changes alone: {group['experiments']} were tried, none came near."
        for group in groups
        if group["category"] in CATEGORIES and group["experiments"] >= ENOUGH and not group["kept"] + group["near_misses"]
    ]
    good = [str(row["n"]) for row in near_misses if (row["p_gain"] or 0.0) >= PROMISING][:4]
    if len(good) > 1:
        lines.append(f"Combine what experiments {', '.join(good)} did: each was probably better, none for certain.")
    return lines
