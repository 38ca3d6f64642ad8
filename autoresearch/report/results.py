"""Lay out the results of `total`, `reproduce`, `ablate` and `log --by`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from autoresearch.ledger.breakdown import GroupSums
from autoresearch.ledger.rows import Call
from autoresearch.ledger.statements import describe_odds
from autoresearch.metric import Metric
from autoresearch.report.blocks import Block, Pairs, Paragraph, Table
from autoresearch.report.format import between, dollars, price_later
from autoresearch.text import one_line

if TYPE_CHECKING:  # not at run time: `log` does not import numpy
    from autoresearch.analysis.ablate import Ablation, Part
    from autoresearch.analysis.reproduce import Reproduction
    from autoresearch.analysis.total import Interval, Total


ANSWERS = {"carries": "yes", "idle": "no", "unclear": "not decided"}


def total(result: "Total", metric: Metric) -> Pairs:
    """Lay out the honest total beside the running minimum of a log, whose optimism may have either sign."""
    optimism = metric.spread(abs(result.optimism))
    more = f"{optimism} of that was not confirmed by fresh seeds"
    pairs, best = f"{result.pairs} pairs on fresh seeds", metric.change(result.running_minimum)
    return Pairs(
        {
            "measured": f"experiment {result.final} against {result.base}, the base: {pairs}",
            "val": _interval(result.val, metric),
            "holdout": _interval(result.holdout, metric),
            f"running {'maximum' if metric.goal == 'max' else 'minimum'}": f"{best}, as other tools report it",
            "optimism": more if result.optimism < 0 else f"none: fresh seeds show {optimism} more",
        }
    )


def _interval(interval: "Interval", metric: Metric) -> str:
    return f"{metric.with_unit(metric.change(interval.mean))}, {between(interval, metric.change)}"


def reproduction(result: "Reproduction", metric: Metric) -> Pairs:
    """Lay out the fresh scores of a version beside the recorded one."""
    draws = ", ".join(map(metric.score, result.draws))
    error = f"+- {metric.spread(result.error)} (one standard error)"
    return Pairs(
        {
            "recorded": f"experiment {result.n}: {metric.score(result.recorded)}",
            "measured": f"{metric.score(result.measured)}, {len(result.draws)} fresh: {draws}",
            "difference": f"{metric.change(result.difference)} {error}",
            "verdict": "it agrees with the record" if result.agrees else "it does NOT agree with the record",
        }
    )


def ablation(result: "Ablation", metric: Metric) -> Iterator[Block]:
    """Lay out what the final version loses without each of its kept changes."""
    head = ["n", "lost without it", "sure", "carries", "what"]
    ranks = {"sure": 2, "carries": 1}
    yield Table(head, [_part(part, metric) for part in result.parts], frozenset(head[:4]), ranks)
    yield Paragraph([f"experiment {result.final} on {result.draws} seeds: {'; '.join(_findings(result))}"])


def _findings(result: "Ablation") -> Iterator[str]:
    """Say what may be removed, what more seeds would have to decide, and what carries something."""
    if result.idle:
        verb = "carry" if len(result.idle) > 1 else "carries"
        remove = "`autoresearch ablate --prune` removes it"
        yield f"{', '.join(map(str, result.idle))} {verb} nothing measurable: {remove}"
    if result.unclear:
        names, verb = (
            ", ".join(str(part.n) for part in result.unclear),
            "carry" if len(result.unclear) > 1 else "carries",
        )
        more = "`autoresearch ablate --draws N` adds N pairs"
        yield f"what {names} {verb} is {result.undecided}: {more}"
    if not result.idle and not result.unclear:
        measured = any(part.loss is not None for part in result.parts)
        yield "each that can be taken out carries something" if measured else "none of them can be taken out alone"


def _part(part: "Part", metric: Metric) -> list[str]:
    what = " | ".join(one_line(words) for words in (part.conflict, part.change) if words)
    lost = part.describe_loss(metric)
    if lost is None or part.p_carries is None:
        return [str(part.n), "not measured", "-", "-", what]
    return [str(part.n), lost, describe_odds(part.p_carries), ANSWERS[part.finding], what]


def unpriced(calls: Sequence[Call]) -> list[Block]:
    """Say how the calls of models without a price get one; nothing if all have one."""
    models = sorted({call.model for call in calls if call.cost_usd is None and call.model})
    return [Paragraph([f"cost unknown: {price_later(models)}"], "quiet")] if models else []


def breakdown(groups: Sequence[GroupSums], by: str, metric: Metric, words: Mapping[str, str] | None = None) -> Block:
    """Lay out sums by group; `words` are the first new ones of each program.md by its hash."""
    head = [by, "tried", "kept", "near", "failed", "unmeasured", "gain", "min", "min/keep", "cost", "cost/keep"]
    if not groups:
        return Paragraph(["nothing was tried yet"], "large")
    ranks = {"near": 1, "failed": 2, "min/keep": 3, "min": 4, "cost/keep": 5, "cost": 6, "unmeasured": 7, "text": 8}
    texts = words or {}
    rows = [[*_group(group, metric), *([one_line(texts.get(group.key, ""), 60)] if texts else [])] for group in groups]
    return Table([*head, *(["text"] if texts else [])], rows, frozenset(head[1:]), ranks)


def _group(group: GroupSums, metric: Metric) -> list[str]:
    counts = [str(number) for number in (group.tried, group.kept, group.near_misses, group.failed, group.unmeasured)]
    per_keep = "-" if group.minutes_per_keep is None else f"{group.minutes_per_keep:.1f}"
    cost_per_keep = "-" if group.cost_per_keep is None else dollars(group.cost_per_keep)
    times = [f"{group.minutes:.1f}", per_keep, dollars(group.cost_usd), cost_per_keep]
    key = group.key[:8] if group.by == "program" else one_line(group.key, 40)
    return [key, *counts, metric.spread(group.gain), *times]
