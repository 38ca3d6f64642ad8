"""The part of a report on what was kept: why, by which evidence, and what people and later trials said of it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from autoresearch.analysis.summary import KEEPS, OTHERS, SessionSummary
from autoresearch.report import tables
from autoresearch.report.blocks import Block, Fold, Heading, Patch, Table, Verbatim, Words, safe
from autoresearch.report.format import change

Row = dict[str, Any]

OPEN_LINES = 60  # a change of no more lines is shown unfolded


def section(night: SessionSummary) -> Iterator[Block]:
    """Everything that was kept in a table, and the newest in detail."""
    if not night.keeps:
        return
    yield Heading("Kept")
    yield _keeps(night)
    if (found := night.ablation) is not None:
        how = f"each was taken out of experiment {found.final} in turn, and both were measured on {found.draws} seeds"
        words = f"Carries: {how}. A change that carries nothing can go:"
        yield Words([words, " ", Verbatim("autoresearch ablate --prune")], "quiet")
    if missing := [row["n"] for row in night.keeps if row["n"] not in night.reviews]:
        words = f"Nobody has reviewed {_numbers(missing)}: read the change, and say so with"
        yield Words([words, " ", Verbatim("autoresearch review N --accept")], "quiet")
    yield from tables.calibration(night.tried)
    if len(night.keeps) > KEEPS:
        yield Words([f"The newest {KEEPS} of {len(night.keeps)} in detail:"])
    for row in night.keeps[-KEEPS:]:
        yield from _keep_in_detail(night, row)


def _keep_in_detail(night: SessionSummary, row: Row) -> Iterator[Block]:
    yield Heading(f"{row['n']}: {tables.what(row, 120)}", 3, f"n{row['n']}")
    if len(safe(row["hypothesis"] or "")) > 120:
        yield Words([tables.what(row)])
    gain = row["p_gain"] is not None and not row["simpler"]
    odds = f", {tables.percent(row['p_gain'])} sure to be better" if gain else ""
    expected, by = tables.number(row["predicted"]), f"{tables.who(row)}, {row['grade'] or '-'}"
    yield Words([f"{tables.why(row).rstrip('.')}{odds}. Expected: {expected}. By {by}."])
    if (said := night.reviews.get(row["n"])) is not None:
        yield Words([tables.reviewed(said)], "good" if said.accepted else "bad")
    yield tables.trials(night.trials.get(row["n"], []), night.beside.get(row["n"], ()))
    if patch := night.patches.get(row["n"], ""):
        yield Fold("the change", [Patch(patch)], patch.count("\n") <= OPEN_LINES)


def _keeps(night: SessionSummary) -> Table:
    """A line for each keep; what nothing is known of has no column."""
    parts = {part.n: part for part in night.ablation.parts} if night.ablation else {}
    said = {n: review.word for n, review in night.reviews.items()}
    columns: dict[str, Callable[[Row], str]] = {
        "n": tables.n,
        "commit": lambda row: Verbatim((row["sha"] or "")[:7]),
        "val_bpb": lambda row: "-" if row["val_bpb"] is None else f"{row['val_bpb']:.4f}",
        "change": change,
        "as": lambda row: "less code" if row["simpler"] else "a gain",
        "carries": lambda row: parts[row["n"]].words if row["n"] in parts else "-",
        "review": lambda row: said.get(row["n"], "none"),
        "predicted": lambda row: tables.number(row["predicted"]),
        "lines": lambda row: "-" if row["lines_added"] is None else f"+{row['lines_added']} -{row['lines_removed']}",
        "what": lambda row: tables.what(row, 160),
    }
    unknown = {"as": not night.status["simpler"], "carries": not parts, "review": not said}
    shown = {name: cell for name, cell in columns.items() if not unknown.get(name)}
    rows = [[cell(row) for cell in shown.values()] for row in night.keeps]
    return Table(list(shown), rows, frozenset({"n", "val_bpb", "change", "predicted", "lines"}))


def _numbers(found: Sequence[int]) -> str:
    """Experiments by their numbers, the first few."""
    more = f" and {len(found) - OTHERS} more" if len(found) > OTHERS else ""
    return f"experiment{'s' * (len(found) > 1)} {', '.join(map(str, found[:OTHERS]))}{more}"
