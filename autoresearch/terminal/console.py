"""Render blocks in a terminal within its width, elsewhere as plain lines of any length."""

from collections.abc import Iterable, Mapping

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from autoresearch.report.blocks import (
    Block,
    Code,
    Curve,
    Curves,
    Figure,
    Fold,
    Heading,
    Pairs,
    Paragraph,
    Table,
    Tiles,
    join,
    safe,
)
from autoresearch.report.format import duration
from autoresearch.terminal.columns import STYLES, print_table
from autoresearch.terminal.curve import chart
from autoresearch.text import plain_text

MAX_VALUE_CHARS = 4000
NAME_CHARS = 12  # of the names of pairs, at least
MIN_VALUE_CHARS = 20  # of a line of a value
CHART_CHARS, CHART_LINES = 60, 8
SCALE_CHARS = 8  # beside a chart


def print_blocks(blocks: Iterable[Block], console: Console) -> None:
    before: Block | None = None
    for block in blocks:
        if before is not None and _is_apart(before, block):
            console.print()
        _print(block, console)
        before = block


def print_line(text: str) -> None:
    """Print a line for a person to stderr; a narrow terminal gets its parts one below the other."""
    console = Console(stderr=True)
    if console.is_terminal and cell_len(text) > console.width:
        text = text.replace("; ", ";\n  ")
    console.print(Text(plain_text(text)), soft_wrap=not console.is_terminal)


def _is_apart(before: Block, block: Block) -> bool:
    """Return whether an empty line separates two blocks: not headings, nor text from tables."""
    text = (Paragraph, Table)
    return not isinstance(before, Heading) and not (isinstance(before, text) and isinstance(block, text))


def _print(block: Block, console: Console) -> None:
    match block:
        case Heading():
            _print_text(block.text, "bold", console)
        case Paragraph():
            style = " ".join(STYLES[tone] for tone in block.tone.split() if tone in STYLES)
            _print_text(join(block.parts, safe), style, console)
        case Tiles():
            _print_pairs(dict(block.facts), console)
        case Pairs():
            _print_pairs(block.pairs, console)
        case Table():
            print_table(block, console)
        case Code():
            _print_code(block, console)
        case Figure():
            _print_text(block.words, "", console)
        case Curves():
            _print_curves(block, console)
        case Fold():
            print_blocks([Heading(block.title, 3), *block.blocks], console)


def _print_text(text: str, style: str, console: Console) -> None:
    console.print(Text(safe(text), style), soft_wrap=not console.is_terminal)


def _print_pairs(pairs: Mapping[str, str], console: Console) -> None:
    indent = max([NAME_CHARS, *(len(name) + 1 for name in pairs)])
    for name, value in pairs.items():
        text = Text(safe(value, MAX_VALUE_CHARS))
        width = max(MIN_VALUE_CHARS, console.width - indent)
        for k, line in enumerate(text.wrap(console, width) if console.is_terminal else [text]):
            line.rstrip()
            console.print(Text.assemble((f"{'' if k else name:{indent}}", "bold"), line), soft_wrap=True)


def _print_code(block: Code, console: Console) -> None:
    text = Text(plain_text(block.text))
    if block.language and console.is_terminal:
        from autoresearch.terminal.highlight import highlight

        text = highlight(text.plain, block.language)
    console.print(text, soft_wrap=True, end="" if block.text.endswith("\n") else "\n")


def _print_curves(block: Curves, console: Console) -> None:
    """Draw the first curve in dots, and the last one in points behind it."""
    shown = [curve for curve in block.curves if curve.points]
    if not shown:
        return
    own, *others = shown
    beside = others[-1] if others else Curve("", [])
    width = min(CHART_CHARS, console.width - SCALE_CHARS - 1) if console.is_terminal else CHART_CHARS
    for line in chart(own.points, beside.points, width, CHART_LINES):
        console.print(line, soft_wrap=True)
    end = max(x for x, _ in (*own.points, *beside.points))
    length = duration(end) if block.across.startswith("seconds") else f"{end:g}"
    _print_text(f"{own.name}, over {length}{f'; {beside.name} in points' if others else ''}", "dim", console)
