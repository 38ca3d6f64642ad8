"""Experiments as lines."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from autoresearch.ledger import UNSCORED
from autoresearch.report.format import STYLES, Row, one_line, signed, verdict
from autoresearch.terminal.columns import Column, cut, fitting, lines, print_lines

SAID = {"rejected": "bold red", "accepted": "green"}
ROOM = 36  # characters that a hypothesis needs beside the numbers; with less it gets a line of its own
INDENT = 5


def print_log(
    rows: Sequence[Row], console: Console, shown: Sequence[Row] | None = None, none: str | None = None
) -> None:
    """A line for each of `shown` (by default what was kept), oldest first; suspects among `rows` are named before.

    `none` is what to say where there is nothing to show.
    """
    _print_warnings(rows, console)
    shown = [row for row in rows if row["verdict"] == "keep"] if shown is None else shown
    if not shown:
        words = none or "nothing was kept yet: --all shows what there is"
        console.print(Text(words, "bold"), soft_wrap=True)
        return
    print_lines(_lines(shown, console.width if console.is_terminal else None), console)


def _print_warnings(rows: Sequence[Row], console: Console) -> None:
    suspects = [str(row["n"]) for row in rows if row["verdict"] == "suspect"]
    if suspects:
        text = f"suspect: {', '.join(suspects)}: their scores could not be confirmed; read them: `autoresearch show N`"
        console.print(Text(text, "bold red"), soft_wrap=True)
    if any(row["grade"] == "WEAK" for row in rows):
        text = "grade WEAK: not everything was protected when these were measured; see `autoresearch doctor`"
        console.print(Text(text, "yellow"), soft_wrap=True)


def _lines(rows: Sequence[Row], width: int | None) -> list[Text]:
    """The numbers in columns, and what was tried beside them, or below them where there is no room beside."""
    head, *numbers = lines(fitting(_columns(rows), width))
    left = None if width is None else width - head.cell_len - 1
    beside = left is None or left >= ROOM
    found = [head + Text(" what", "bold") if beside else head]
    for row, line in zip(rows, numbers, strict=True):
        style = STYLES.get(row["verdict"], "dim")
        if beside:
            found.append(line + Text(f" {cut(_what(row), left)}", style))
        else:
            found += [line, Text(" " * INDENT + cut(_what(row), (width or 0) - INDENT), style)]
    return found


def _columns(rows: Sequence[Row]) -> list[Column]:
    by_verdict = [STYLES.get(row["verdict"], "dim") for row in rows]
    said = [row["review"] or "" for row in rows]
    better = ["green" if (row["delta"] or 0) < 0 else "" for row in rows]
    return [
        Column("n", [str(row["n"]).rjust(4) for row in rows]),
        Column("commit", [(row["sha"] or "")[:7] for row in rows], left=True, styles=["yellow"] * len(rows)),
        Column("val_bpb", ["-" if row["val_bpb"] is None else f"{row['val_bpb']:.4f}" for row in rows], rank=2),
        Column("change", [_change(row) for row in rows], rank=3, styles=better),
        Column("sigmas", [_sigmas(row) for row in rows], rank=1, left=True, styles=better),
        Column("verdict", [verdict(row) for row in rows], left=True, styles=by_verdict),
        Column("review", said, rank=8, left=True, styles=[SAID.get(word, "") for word in said]),
        Column("agent", [one_line(row["agent"])[:16] or "base" for row in rows], rank=4, left=True),
        Column("cost", [f"${row['cost_usd']:.2f}" if row["cost_usd"] else "" for row in rows], rank=6),
        Column("lines", [_lines_changed(row) for row in rows], rank=5),
        Column("params", [signed(row["params_added"]) if row["params_added"] else "" for row in rows], rank=7),
    ]


def _change(row: Row) -> str:
    return "" if row["delta"] is None else f"{row['delta']:+.4f}"


def _sigmas(row: Row) -> str:
    """The change in standard deviations of one trial, plus or minus one standard error."""
    if row["delta"] is None or not row["sigma"]:
        return ""
    error = "" if row["error"] is None else f"±{row['error'] / row['sigma']:.1f}"
    return f"{row['delta'] / row['sigma']:+.1f}{error}"


def _lines_changed(row: Row) -> str:
    return f"+{row['lines_added']} -{row['lines_removed']}" if row["lines_added"] or row["lines_removed"] else ""


def _what(row: Row) -> str:
    parts = [one_line(row["hypothesis"])]
    if row["verdict"] in UNSCORED and (why := one_line(row["reason"])) not in parts[0]:
        parts.append(f"| {why}")
    return " ".join(part for part in parts if part)
