"""Tables and sentences that sum up a session: categories, lineage, rates, predictions."""

from collections.abc import Iterator, Sequence

from autoresearch.analysis.proportion import proportion
from autoresearch.ledger import ExperimentRow
from autoresearch.ledger.breakdown import GroupSums
from autoresearch.ledger.statements import PREDICTIONS, is_dead_end
from autoresearch.metric import Metric
from autoresearch.report import tree
from autoresearch.report.blocks import Paragraph, Ref, Table, Verbatim, safe
from autoresearch.report.format import dollars, percent


def categories(groups: Sequence[GroupSums], tried: Sequence[ExperimentRow]) -> Table:
    """Lay out counts and the best change of each category, dead ends last."""
    best: dict[str, float] = {}
    for row in tried:
        if row.delta is not None and row.sigma:
            for key in row.categories or ("-",):
                best[key] = min(best.get(key, float("inf")), row.delta / row.sigma)
    ranked = sorted(groups, key=lambda group: (-group.kept, -group.near_misses, -group.tried))
    head = ["category", "tried", "kept", "near misses", "failed", "best change", "minutes", ""]
    rows = [_category(group, best.get(group.key), tried[0].metric) for group in ranked if group.tried]
    return Table(head, rows, frozenset(head[1:7]))


def _category(group: GroupSums, best: float | None, metric: Metric) -> list[str]:
    change = "-" if best is None else f"{metric.sigmas(best)} sigma"
    note = "dead end" if is_dead_end(group.scored, group.kept, group.near_misses) else ""
    counts = [str(number) for number in (group.tried, group.kept, group.near_misses, group.failed)]
    return [safe(group.key, 40), *counts, change, f"{group.minutes:.1f}", note]


def lineage(rows: Sequence[ExperimentRow], best: int | None) -> Table:
    """Lay out the versions that others were derived from, and the verdicts on those."""
    head = ["version", "derived from", rows[0].metric.name, "tried on it", "of these"]
    return Table(head, [_version(version) for version in tree.versions(rows, best)], frozenset(head[:4]))


def _version(version: tree.Version) -> list[str]:
    row = version.row
    parent = "-" if row.parent is None else Ref(row.parent)
    score = "-" if row.val_bpb is None else row.metric.score(row.val_bpb)
    return [Ref(row.n), parent, score, str(version.verdicts.total()), tree.verdict_counts(version.verdicts)]


def calibration(tried: Sequence[ExperimentRow]) -> Iterator[Paragraph]:
    """Compare the mean of the predicted changes with that of the measured ones."""
    pairs = [(row.predicted, row.delta) for row in tried if row.predicted is not None and row.delta is not None]
    if len(pairs) < PREDICTIONS:
        return
    change = tried[0].metric.change
    predicted, measured = (change(sum(side) / len(pairs)) for side in zip(*pairs, strict=True))
    words = f"the agent predicted {predicted} on average; {measured} was measured"
    yield Paragraph([f"Over {len(pairs)} experiments {words}."])


def rates(groups: Sequence[GroupSums], head: str) -> Table:
    """Lay out the share of keeps of each group, with its 95 % interval."""
    columns = [head, "tried", "kept", "rate", "95 % between", "cost"]
    return Table(columns, [_rate(group) for group in groups], frozenset(columns[1:]))


def _rate(group: GroupSums) -> list[str]:
    low, high = proportion(group.kept, group.tried)
    key = Verbatim(group.key[:8]) if group.by == "program" else safe(group.key, 60)
    interval, rate = f"{percent(low)} and {percent(high)}", percent(group.kept / group.tried if group.tried else None)
    return [key, str(group.tried), str(group.kept), rate, interval, dollars(group.cost_usd)]
