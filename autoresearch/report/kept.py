"""Lay out the keeps of a session: a table of all below the chart, and further down the newest ones in detail."""

from collections.abc import Iterator, Sequence

from autoresearch.analysis.ablate import Ablation
from autoresearch.analysis.summary import KEEPS, OTHERS, SessionSummary
from autoresearch.ledger import ExperimentRow
from autoresearch.ledger.rows import kept_as
from autoresearch.metric import Metric
from autoresearch.report import experiment, experiment_table, tables
from autoresearch.report.blocks import Block, Code, Fold, Heading, Paragraph, Table, Verbatim, safe

UNFOLDED_LINES = 60  # a change of no more lines is shown unfolded
WHAT_CHARS = 120  # the whole text is among the details
COLUMNS = (
    "n", "commit", "score", "change", "sigmas", "as", "carries", "review", "predicted", "lines", "what"
)  # fmt: skip


def overview(summary: SessionSummary) -> Iterator[Block]:
    """Lay out everything that was kept in a table."""
    if not summary.keeps:
        return
    yield Heading("Kept")
    yield _table(summary)
    if (ablation := summary.ablation) is not None:
        how = f"each change was taken out of experiment {ablation.final}, and both ran on {ablation.draws} seeds"
        remove = [" A change that carries nothing can be removed:", " ", Verbatim("autoresearch ablate --prune")]
        yield Paragraph([f"Carries: {how}.", *(remove if ablation.idle else [])], "quiet")
    if missing := [row.n for row in summary.keeps if row.review is None]:
        words = f"No review yet of {_numbers(missing)}: read the change, then use"
        yield Paragraph([words, " ", Verbatim("autoresearch review N --accept")], "quiet")
    yield from tables.calibration(summary.candidates)


def in_detail(summary: SessionSummary) -> Iterator[Block]:
    """Lay out the newest keeps with their changes and evidence."""
    if not summary.keeps:
        return
    yield Heading("The keeps in detail")
    if len(summary.keeps) > KEEPS:
        yield Paragraph([f"These are the newest {KEEPS} of {len(summary.keeps)}."])
    for row in summary.keeps[-KEEPS:]:
        yield from _detail(summary, row)


def _detail(summary: SessionSummary, row: ExperimentRow) -> Iterator[Block]:
    hypothesis = row.hypothesis or "no hypothesis"
    yield Heading(f"{row.n}: {safe(hypothesis, 120)}", 3, f"n{row.n}")
    if len(safe(hypothesis)) > 120:
        yield Paragraph([safe(hypothesis, 600)])
    details = summary.details[row.n]
    yield from experiment.brief(details)
    if details.patch:
        unfolded = details.patch.count("\n") <= UNFOLDED_LINES
        yield Fold(experiment.change_title(details), [Code(details.patch, "diff")], unfolded)


def _table(summary: SessionSummary) -> Table:
    parts = _describe_parts(summary.ablation, summary.status.metric) if summary.ablation else {}
    return experiment_table.table(
        summary.keeps,
        COLUMNS,
        WHAT_CHARS,
        **{
            "as": lambda row: _kind(row) if summary.status.simpler else "",
            "carries": lambda row: parts.get(row.n, ""),
        },
    )


def _describe_parts(ablation: Ablation, metric: Metric) -> dict[int, str]:
    """Say what each keep carries; a pool by its parts."""
    words: dict[int, list[str]] = {}
    for part in ablation.parts:
        name = "" if part.pool is None else f"{part.n}: "
        words.setdefault(part.n if part.pool is None else part.pool, []).append(f"{name}{part.describe(metric)}")
    return {n: "; ".join(each) for n, each in words.items()}


def _kind(row: ExperimentRow) -> str:
    kind = kept_as(row)
    return "a gain" if kind == "gain" else kind.partition(" at the ")[0].partition(" for the ")[0]


def _numbers(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - OTHERS} more" if len(numbers) > OTHERS else ""
    return f"experiment{'s' * (len(numbers) > 1)} {', '.join(map(str, numbers[:OTHERS]))}{more}"
