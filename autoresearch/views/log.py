"""Experiments as lines."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from autoresearch.ledger import UNSCORED
from autoresearch.measure.log import plain
from autoresearch.views.words import one_line

HEADER = f"{'n':>4} {'commit':7} {'val_bpb':>7} {'change':>22} {'verdict':9} {'agent':8} what"
STYLES = {"keep": "green", "suspect": "bold red", "crash": "red", "invalid": "yellow", "duplicate": "dim", "discard": ""}


def print_log(rows: list[dict[str, Any]], console: Console, every: bool = False, verdict: str = "keep") -> None:
    """One line an experiment, oldest first: those of a verdict, or every one; suspects are named before all else."""
    suspects = [str(row["n"]) for row in rows if row["verdict"] == "suspect"]
    if suspects:
        text = f"suspect: {', '.join(suspects)}: their scores could not be confirmed; read them with `autoresearch show N`"
        console.print(text, style="bold red", highlight=False, soft_wrap=True)
    if any(row["grade"] == "WEAK" for row in rows):
        text = "grade WEAK: not everything was protected when these were measured; see `autoresearch doctor`"
        console.print(text, style="yellow", highlight=False, soft_wrap=True)
    shown = [row for row in rows if every or row["verdict"] == verdict]
    none = "nothing was kept yet: --all shows what there is" if verdict == "keep" else f"no experiment is {verdict}"
    console.print(HEADER if shown else none, style="bold", highlight=False, soft_wrap=True)
    for row in shown:
        style = STYLES.get(row["verdict"], "dim")
        console.print(escape(plain(_line(row))), style=style, highlight=False, soft_wrap=True)


def _line(row: dict[str, Any]) -> str:
    score = "-" if row["val_bpb"] is None else f"{row['val_bpb']:.4f}"
    words = f"{row['n']:4} {(row['sha'] or '')[:7]:7} {score:>7} {change(row):>22} {row['verdict'] or row['state']:9}"
    return f"{words} {row['agent'] or 'base':8} {_what(row)}"


def _what(row: dict[str, Any]) -> str:
    parts = [one_line(row["hypothesis"])]
    if row["near_miss"]:
        parts.append("(near miss)")
    if row["verdict"] in UNSCORED:
        parts.append(f"| {one_line(row['reason'])}")
    return " ".join(part for part in parts if part)


def change(row: dict[str, Any]) -> str:
    """Score less the incumbent's mean, and how many sigmas that is."""
    if row["delta"] is None:
        return ""
    sigmas = f" ({row['delta'] / row['sigma']:+.1f} sigma)" if row["sigma"] else ""
    return f"{row['delta']:+.4f}{sigmas}"
