"""Lay out the results of `total`, `reproduce`, `ablate` and `log --by`."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from autoresearch.ledger.breakdown import GroupSums
from autoresearch.report.blocks import Block, Pairs, Paragraph, Table
from autoresearch.report.format import between, dollars
from autoresearch.text import one_line

if TYPE_CHECKING:  # not at run time: `log` does not import numpy
    from autoresearch.analysis.ablate import Ablation, Part
    from autoresearch.analysis.reproduce import Reproduction
    from autoresearch.analysis.total import Interval, Total


def total(result: "Total") -> Pairs:
    """Lay out the honest total beside the running minimum of a log."""
    pairs = f"{result.pairs} pairs on fresh seeds"
    return Pairs(
        {
            "measured": f"experiment {result.final} against {result.base}, the base: {pairs}",
            "val": _interval(result.val),
            "holdout": _interval(result.holdout),
            "running minimum": f"{result.running_minimum:+.4f}, as other tools report it",
            "optimism": f"{result.optimism:+.4f} of that was not confirmed by fresh seeds",
        }
    )


def _interval(interval: "Interval") -> str:
    return f"{interval.mean:+.4f} bits per byte, {between(interval)}"


def reproduction(result: "Reproduction") -> Pairs:
    """Lay out the fresh scores of a version beside the recorded one."""
    draws = ", ".join(f"{draw:.4f}" for draw in result.draws)
    return Pairs(
        {
            "recorded": f"experiment {result.n}: {result.recorded:.4f}",
            "measured": f"{result.measured:.4f}, {len(result.draws)} fresh: {draws}",
            "difference": f"{result.difference:+.4f} +- {result.error:.4f} (one standard error)",
            "verdict": "it agrees with the record" if result.agrees else "it does NOT agree with the record",
        }
    )


def ablation(result: "Ablation") -> Iterator[Block]:
    """Lay out what the final version loses without each of its kept changes."""
    head = ["n", "lost without it", "sure", "carries", "what"]
    ranks = {"sure": 2, "carries": 1}
    yield Table(head, [_part(part) for part in result.parts], frozenset(head[:4]), ranks)
    numbers, verb = ", ".join(map(str, result.idle)), "carry" if len(result.idle) > 1 else "carries"
    remove = "`autoresearch ablate --prune` removes it"
    words = f"{numbers} {verb} nothing measurable: {remove}" if result.idle else "each of them carries something"
    yield Paragraph([f"experiment {result.final} on {result.draws} seeds: {words}"])


def _part(part: "Part") -> list[str]:
    what = " | ".join(one_line(words) for words in (part.conflict, part.change) if words)
    if part.loss is None or part.error is None or part.p_carries is None:
        return [str(part.n), "not measured", "-", "-", what]
    loss, sure = f"{part.loss:+.4f} ± {part.error:.4f}", f"{100 * part.p_carries:.0f} %"
    return [str(part.n), loss, sure, "yes" if part.carries else "no", what]


def breakdown(groups: Sequence[GroupSums], by: str) -> Block:
    head = [by, "tried", "kept", "near", "failed", "gain", "min", "min/keep", "cost", "cost/keep"]
    if not groups:
        return Paragraph(["nothing was tried yet"], "large")
    ranks = {"near": 1, "failed": 2, "min/keep": 3, "min": 4, "cost/keep": 5, "cost": 6}
    return Table(head, [_group(group) for group in groups], frozenset(head[1:]), ranks)


def _group(group: GroupSums) -> list[str]:
    counts = [str(number) for number in (group.experiments, group.kept, group.near_misses, group.failed)]
    per_keep = "-" if group.minutes_per_keep is None else f"{group.minutes_per_keep:.1f}"
    cost_per_keep = "-" if group.cost_per_keep is None else dollars(group.cost_per_keep)
    times = [f"{group.minutes:.1f}", per_keep, dollars(group.cost_usd), cost_per_keep]
    return [one_line(group.key, 40), *counts, f"{group.gain:.4f}", *times]
