"""Print tables in a terminal; if it is narrow, without the least important columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from autoresearch.report.blocks import Table
from autoresearch.text import one_line

STYLES = {"good": "green", "bad": "bold red", "failed": "red", "warn": "yellow", "quiet": "dim", "large": "bold"}
GAP = " "  # between two columns
CUT = "..."
MIN_PROSE_CHARS = 36  # with less room beside the other columns, prose gets lines of its own
BATCH = 20  # lines that rich prints at once: one by one is 2x slower, all at once is quadratic

Pieces = list[tuple[str, str]]  # of a line: texts with their styles


@dataclass(frozen=True)
class Column:
    """Cells under a title. The highest `rank` is left out first, and rank 0 never."""

    title: str
    cells: Sequence[str]
    rank: int = 0
    left: bool = False

    @cached_property
    def width(self) -> int:
        return max(map(cell_len, (self.title, *self.cells)))

    def pad(self, cell: str) -> str:
        space = " " * (self.width - cell_len(cell))
        return f"{cell}{space}" if self.left else f"{space}{cell}"


def print_table(table: Table, console: Console) -> None:
    """Print a table: within the width of a terminal, elsewhere without limit.

    A last column of prose gets the room that is left and is cut, or has lines of its own where there is little room.
    """
    width = console.width if console.is_terminal else None
    columns = [
        Column(name, [_clean(row[k]) for row in table.rows], table.ranks.get(name, 0), name not in table.numbers)
        for k, name in enumerate(table.head)
    ]
    prose = columns.pop() if table.is_prose(len(columns) - 1) else None
    shown = fit(columns, width)
    lines: list[Pieces] = [[(column.pad(column.title), "bold") for column in shown]]
    styles = [[STYLES.get(getattr(cell, "tone", ""), "") for cell in column.cells] for column in shown]
    for k in range(len(table.rows)):
        lines.append([(column.pad(column.cells[k]), style[k]) for column, style in zip(shown, styles, strict=True)])
    print_lines(lines if prose is None else _add_prose(lines, prose, width), console)


def _add_prose(lines: list[Pieces], prose: Column, width: int | None) -> list[Pieces]:
    first, *others = (cell_len(text) + len(GAP) for text, _ in lines[0])
    room = None if width is None else width - first - sum(others)
    if width is None or room is None or room >= MIN_PROSE_CHARS:
        titled = [(prose.title, "bold"), *((cut(cell, room), "") for cell in prose.cells)]
        return [[*line, piece] for line, piece in zip(lines, titled, strict=True)]
    below = [[[(" " * (first - len(GAP)), ""), (cut(cell, width - first), "")]] if cell else [] for cell in prose.cells]
    return [part for line, extra in zip(lines, [[], *below], strict=True) for part in (line, *extra)]


def fit(columns: Sequence[Column], width: int | None) -> list[Column]:
    """Return the columns that fit side by side; all of them without a width."""
    shown = list(columns)
    while width is not None and sum(column.width + len(GAP) for column in shown) - len(GAP) > width:
        last = max(shown, key=lambda column: column.rank)
        if last.rank == 0:
            break
        shown.remove(last)
    return shown


def print_lines(lines: Sequence[Pieces], console: Console) -> None:
    if not console.is_terminal:
        console.file.write("".join(f"{GAP.join(text for text, _ in line).rstrip()}\n" for line in lines))
        return
    texts = [Text(GAP).join(Text(text, style) for text, style in line) for line in lines]
    for k in range(0, len(texts), BATCH):
        console.print(Text("\n").join(texts[k : k + BATCH]), soft_wrap=True)


def cut(text: str, width: int | None) -> str:
    """Cut a line to a width, counted as a terminal does, and mark the cut."""
    if width is None or cell_len(text) <= width:
        return text
    if width <= len(CUT):
        return set_cell_size(text, width)
    return set_cell_size(text, width - len(CUT)).rstrip() + CUT


def _clean(cell: str) -> str:
    return cell if cell.isprintable() else one_line(cell)
