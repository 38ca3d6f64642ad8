"""Tables for terminals: columns as wide as what is in them; what tells least is left out where there is no room."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

GAP = 1  # characters between two columns
CUT = "..."
TOGETHER = 20  # lines given to rich at once: one by one takes twice as long, and all at once as long as their square


@dataclass(frozen=True)
class Column:
    """Cells under a title. Where there is no room the highest `rank` is left out first; rank 0 always stays.

    A column in which nothing is said is not shown. `styles` are of the cells.
    """

    title: str
    cells: Sequence[str]
    rank: int = 0
    left: bool = False
    styles: Sequence[str] = field(default_factory=list)

    @cached_property
    def width(self) -> int:
        """Characters that it takes on a screen."""
        return max(map(cell_len, (self.title, *self.cells)))

    def line(self, k: int) -> Text:
        """One cell, padded."""
        text = self.cells[k]
        space = " " * (self.width - cell_len(text))
        return Text(f"{text}{space}" if self.left else f"{space}{text}", self.styles[k] if self.styles else "")


def fitting(columns: Sequence[Column], width: int | None) -> list[Column]:
    """Those columns that say something and fit side by side; None: there is no end of room."""
    shown = [column for column in columns if any(column.cells)]
    while width is not None and sum(column.width + GAP for column in shown) - GAP > width:
        last = max(shown, key=lambda column: column.rank)
        if last.rank == 0:
            break
        shown.remove(last)
    return shown


def lines(columns: Sequence[Column]) -> list[Text]:
    """The titles, then a line for each cell."""
    gap = Text(" " * GAP)
    titles = [Column(each.title, each.cells, left=each.left) for each in columns]
    head = gap.join(Text(_padded(each), "bold") for each in titles)
    return [head, *(gap.join(column.line(k) for column in columns) for k in range(len(columns[0].cells)))]


def print_lines(lines: Sequence[Text], console: Console) -> None:
    """Many lines, quickly."""
    if not console.is_terminal:
        console.file.write("".join(f"{line.plain}\n" for line in lines))
        return
    for k in range(0, len(lines), TOGETHER):
        console.print(Text("\n").join(lines[k : k + TOGETHER]), soft_wrap=True)


def cut(text: str, width: int | None) -> str:
    """At most so many characters of a line, counted as a terminal does; what is cut off is marked."""
    if width is None or cell_len(text) <= width:
        return text
    if width <= len(CUT):
        return set_cell_size(text, width)
    return set_cell_size(text, width - len(CUT)).rstrip() + CUT


def _padded(column: Column) -> str:
    space = " " * (column.width - cell_len(column.title))
    return f"{column.title}{space}" if column.left else f"{space}{column.title}"
