"""Which kept changes carry the total, as a table."""

from rich.console import Console
from rich.table import Table

from autoresearch.measure.log import plain
from autoresearch.review.ablate import Ablation, Part


def print_ablation(found: Ablation, console: Console) -> None:
    """One line for each kept change."""
    table = Table(box=None, pad_edge=False)
    for name, justify in (("n", "right"), ("lost without it", "left"), ("sure", "right"), ("carries", "left"), ("what", "left")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for part in found.parts:
        table.add_row(str(part.n), *_measured(part), " ".join(plain(part.change).split()))
    console.print(table)
    idle = ", ".join(map(str, found.idle))
    words = f"{idle} carr{'y' if len(found.idle) > 1 else 'ies'} nothing that shows: `autoresearch ablate --prune` takes it out" if idle else "every one of them carries something"
    console.print(f"experiment {found.final} on {found.draws} seeds: {words}", soft_wrap=True, highlight=False)


def _measured(part: Part) -> tuple[str, str, str]:
    if part.loss is None or part.error is None or part.p_carries is None:
        return "not measured", "-", part.conflict or "-"
    return f"{part.loss:+.4f} +- {part.error:.4f}", f"{100 * part.p_carries:.0f} %", "yes" if part.carries else "no"
