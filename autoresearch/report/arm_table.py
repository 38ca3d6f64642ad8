"""Lay out what each researcher of a session gained and cost, and which is better."""

from collections.abc import Iterator, Sequence

from autoresearch.judge.arm_comparison import (
    MAX_NIGHTS,
    SETTLED,
    ArmComparison,
    ArmFigures,
    ArmResults,
    MeasuredRate,
    compare_arms,
    describe_arms,
    find_unreliable,
)
from autoresearch.metric import Metric
from autoresearch.report.blocks import Block, Paragraph, Table, safe
from autoresearch.report.format import count, percent

WHOLE_NIGHTS = (
    "Each is a whole night: a find early in a night makes later ones harder or easier, so one night says little."
)
CAVEAT = (
    "Arms of one night propose in turns from one history, and each builds on what the others found: this compares "
    "proposals, not whole nights of one researcher alone."
)
HEAD = ("arm", "proposals", "measured", "kept", "keep rate", "gain a proposal", "gain an hour", "gain a dollar")


def layout(arms: Sequence[ArmResults], metric: Metric, caveat: str = CAVEAT) -> Iterator[Block]:
    """Lay out one row for each arm, with 95 % intervals, and the comparison in words."""
    described = describe_arms(arms)
    has_price = any(figures.gain_per_dollar is not None for figures in described)
    head = HEAD if has_price else HEAD[:-1]
    rows = [_row(figures, metric)[: len(head)] for figures in described]
    ranks = {"gain an hour": 1, "gain a dollar": 2, "measured": 3}
    yield Table(list(head), rows, frozenset(head[1:]), ranks)
    if words := " ".join(describe(arms)):
        yield Paragraph([words])
        yield Paragraph([f"In brackets 95 % intervals. Broken and refused proposals count. {caveat}"], "quiet")


def describe(arms: Sequence[ArmResults]) -> Iterator[str]:
    """Say which arm is better and which one fails more often, as far as that is known."""
    if len(arms) > 1:
        found = compare_arms(arms)
        yield "Nothing was gained yet: no arm is better." if found is None else _describe(found)
        if (pair := find_unreliable(arms)) is not None:
            (worst, best), names = pair, [safe(arm.name, 60) for arm in pair]
            failed = f"{worst.proposals - worst.measured} of {count(worst.proposals, 'proposal')} of {names[0]}"
            against = f"against {best.proposals - best.measured} of {best.proposals} of {names[1]}"
            yield f"{failed} failed or were refused, {against}: that is not luck."


def _describe(found: ArmComparison) -> str:
    leader, rival = safe(found.leader, 60), safe(found.rival, 60)
    better = f"{leader} is better than {rival} with probability {_odds(found.probability)}"
    if found.probability >= SETTLED:
        return f"{better}."
    words = f"{better}, the other way round with {_odds(found.opposite)}"
    if found.nights is None:
        return f"{words}: not settled, and {MAX_NIGHTS} more nights like this would not settle it."
    return f"{words}: not settled; about {count(found.nights, 'more night')} like this would settle it."


def _row(figures: ArmFigures, metric: Metric) -> list[str]:
    arm = figures.results
    keep_rate = figures.keep_rate
    rate = f"{percent(keep_rate.value)} ({percent(keep_rate.low)} to {percent(keep_rate.high)})"
    gains = (figures.gain_per_proposal, figures.gain_per_hour, figures.gain_per_dollar)
    counts = [str(number) for number in (arm.proposals, arm.measured, arm.kept)]
    return [safe(arm.name, 60), *counts, rate, *(_gain(each, metric) for each in gains)]


def _gain(rate: MeasuredRate | None, metric: Metric) -> str:
    if rate is None:
        return "-"
    value, low, high = (metric.spread(each) for each in (rate.value, rate.low, rate.high))
    return f"{value} ({low} to {high})"


def _odds(probability: float) -> str:
    """Return a probability with two digits; never 0 or 1."""
    return f"{min(max(probability, 0.01), 0.99):.2f}"
