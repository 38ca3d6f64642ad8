"""Which kept changes carry the total, as a table."""

from rich.console import Console
from rich.text import Text

from autoresearch.analysis.ablate import Ablation, Part
from autoresearch.report.format import one_line
from autoresearch.terminal.columns import Column, cut, fitting, lines, print_lines

RANKS = {"n": 0, "lost without it": 0, "sure": 2, "carries": 1}  # the highest goes first where there is no room


def print_ablation(found: Ablation, console: Console) -> None:
    """One line for each kept change."""
    width = console.width if console.is_terminal else None
    cells = zip(*map(_cells, found.parts), strict=True)
    named = zip(RANKS.items(), cells, strict=True)
    columns = [Column(name, column, rank, left=name != "n") for (name, rank), column in named]
    head, *rows = lines(fitting(columns, width))
    left = None if width is None else max(0, width - head.cell_len - 1)
    body = [row + Text(f" {cut(_what(part), left)}") for row, part in zip(rows, found.parts, strict=True)]
    print_lines([head + Text(" what", "bold"), *body], console)
    idle = ", ".join(map(str, found.idle))
    words = (
        f"{idle} carr{'y' if len(found.idle) > 1 else 'ies'} nothing that shows: `autoresearch ablate --prune` takes it out"
        if idle
        else "every one of them carries something"
    )
    console.print(f"experiment {found.final} on {found.draws} seeds: {words}", soft_wrap=True, highlight=False)


def _cells(part: Part) -> tuple[str, str, str, str]:
    if part.loss is None or part.error is None or part.p_carries is None:
        return str(part.n), "not measured", "-", "-"
    loss, sure = f"{part.loss:+.4f} ± {part.error:.4f}", f"{100 * part.p_carries:.0f} %"
    return str(part.n), loss, sure, "yes" if part.carries else "no"


def _what(part: Part) -> str:
    return " | ".join(one_line(words) for words in (part.conflict, part.change) if words)
