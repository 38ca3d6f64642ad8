"""What groups of experiments cost and brought, as a table."""

from typing import Any

from rich.console import Console

from autoresearch.report.format import one_line

TITLES = {
    "experiments": "tried",
    "near_misses": "near",
    "minutes_per_keep": "min/keep",
    "minutes": "min",
    "cost_usd": "cost",
    "cost_per_keep": "cost/keep",
}


def print_sums(rows: list[dict[str, Any]], console: Console) -> None:
    """One line for each group; a line that is too long is wrapped, nothing is cut."""
    if not rows:
        console.print("nothing was tried yet", style="bold", highlight=False)
        return
    lines = [[TITLES.get(name, name) for name in rows[0]]]
    lines += [[_cell(name, value) for name, value in row.items()] for row in rows]
    first, *others = (max(map(len, column)) for column in zip(*lines, strict=True))
    for k, (head, *cells) in enumerate(lines):
        text = "  ".join([head.ljust(first), *(cell.rjust(width) for cell, width in zip(cells, others, strict=True))])
        console.print(text, style="bold" if k == 0 else "", highlight=False, markup=False, soft_wrap=True)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "unknown" if name == "cost_usd" else "-"
    if name in ("cost_usd", "cost_per_keep"):
        return f"${value:.2f}"
    if name == "gain":
        return f"{value:.4f}"
    return f"{value:.1f}" if isinstance(value, float) else one_line(str(value))
