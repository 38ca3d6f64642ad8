"""What groups of experiments cost and brought, as a table."""

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

TITLES = {
    "near_misses": "near misses",
    "minutes_per_keep": "min/keep",
    "minutes": "min",
    "cost_usd": "cost",
    "cost_per_keep": "cost/keep",
}


def print_sums(rows: list[dict[str, Any]], console: Console) -> None:
    """One line for each group."""
    if not rows:
        console.print("nothing was tried yet", style="bold", highlight=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for k, name in enumerate(rows[0]):
        table.add_column(TITLES.get(name, name), justify="left" if k == 0 else "right")
    for row in rows:
        table.add_row(*(Text(_cell(name, value)) for name, value in row.items()))
    console.print(table, highlight=False)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return "unknown" if name == "cost_usd" else "-"
    if name in ("cost_usd", "cost_per_keep"):
        return f"${value:.2f}"
    if name == "gain":
        return f"{value:.4f}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
