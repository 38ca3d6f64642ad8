"""Tables of a report that sum up: trials, categories, lineage, how well effects were foreseen."""

from collections.abc import Iterator, Sequence
from typing import Any

from autoresearch.analysis.compare import proportion
from autoresearch.ledger import Review, Trial
from autoresearch.report import tree
from autoresearch.report.blocks import Ref, Table, Verbatim, Words, safe
from autoresearch.report.format import duration, outcome

Row = dict[str, Any]


def n(row: Row) -> str:
    """Its number, and the way to it."""
    return Ref(row["n"])


def what(row: Row, most: int = 600) -> str:
    """What was expected and why."""
    return safe(row["hypothesis"] or "", most)


def why(row: Row) -> str:
    """Why the verdict."""
    return safe(row["reason"] or "", 300)


def who(row: Row) -> str:
    """Who proposed it."""
    return safe(" ".join(filter(None, (row["agent"], row["model"]))), 100)


def number(value: float | None) -> str:
    """A change of the score."""
    return "-" if value is None else f"{value:+.4f}"


def percent(share: float | None) -> str:
    """A probability."""
    return "-" if share is None else f"{100 * share:.0f} %"


def trials(found: Sequence[Trial], beside: Sequence[tuple[int, Trial]] = ()) -> Table:
    """Every trial with its seed and score; the holdout's where one was taken; then those of incumbents beside it."""
    held = any(trial.result.get("holdout_bpb") is not None for trial in found)
    head = ["trial", "seed", "outcome", "val_bpb", *(["holdout"] if held else []), "lasted", "grade"]
    named = [*((trial.purpose, trial) for trial in found), *((f"of {n}, beside it", trial) for n, trial in beside)]
    rows = [_trial(name, trial, held) for name, trial in named]
    return Table(head, rows, frozenset({"seed", "val_bpb", "holdout", "lasted"}))


def _trial(name: str, trial: Trial, held: bool) -> list[str]:
    result = trial.result
    lasted = duration(trial.ended - trial.started) if trial.ended is not None else "-"
    scores = [_score(trial.val_bpb), *([_score(result.get("holdout_bpb"))] if held else [])]
    return [name, str(trial.seed), outcome(trial.outcome, result), *scores, lasted, trial.grade or "-"]


def reviewed(review: Review) -> str:
    """A person's word on a keep."""
    note = f": {safe(review.note, 300)}" if review.note else ""
    return f"{review.word.capitalize()} by {safe(review.by or 'somebody', 60)}{note}"


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


def lineage(rows: Sequence[Row], best: int | None) -> Table:
    """The versions that others were derived from, and what came of those."""
    head = ["version", "derived from", "val_bpb", "tried on it", "of these"]
    return Table(head, [_version(version) for version in tree.versions(rows, best)], frozenset(head[:4]))


def _version(version: tree.Version) -> list[str]:
    row = version.row
    parent = "-" if row["parent"] is None else Ref(row["parent"])
    score = "-" if row["val_bpb"] is None else f"{row['val_bpb']:.4f}"
    return [Ref(row["n"]), parent, score, str(version.tried.total()), tree.words(version.tried)]


def calibration(tried: Sequence[Row]) -> Iterator[Words]:
    """How well the effects were foreseen, over everything that was measured."""
    pairs = [
        (row["predicted"], row["delta"]) for row in tried if row["predicted"] is not None and row["delta"] is not None
    ]
    if len(pairs) < 2:
        return
    foreseen, came = (sum(side) / len(pairs) for side in zip(*pairs, strict=True))
    yield Words([f"Over {len(pairs)} experiments the agent expected {foreseen:+.4f} on average; {came:+.4f} came."])


def rates(groups: Sequence[Row], name: str, head: str) -> Table:
    """How many experiments of each group were kept, with the share that may lie behind it."""
    columns = [head, "experiments", "kept", "rate", "95 % between", "cost"]
    return Table(columns, [_rate(group, name) for group in groups], frozenset(columns[1:]))


def _rate(group: Row, name: str) -> list[str]:
    tried, kept = group["experiments"], group["kept"]
    low, high = proportion(kept, tried)
    key = Verbatim(group[name][:8]) if name == "program" else safe(group[name], 60)
    interval = f"{percent(low)} and {percent(high)}"
    return [key, str(tried), str(kept), percent(kept / tried), interval, money(group["cost_usd"])]


def money(dollars: float | None) -> str:
    """What model calls cost."""
    return "unknown" if dollars is None else f"${dollars:.2f}"
