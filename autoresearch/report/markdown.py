"""Blocks as Markdown (GitHub's kind). Text that others wrote can bring no markup, link, mention or picture with it."""

import re
from collections.abc import Sequence
from functools import singledispatch

from autoresearch.report.blocks import (
    Block,
    Figure,
    Fold,
    Heading,
    Patch,
    Table,
    Tiles,
    Verbatim,
    Words,
    joined,
    patch_lines,
    safe,
)

_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")
_REFERENCES = {"&": "&amp;", "<": "&lt;", "@": "&#64;"}
_LINKS = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_FIRST = re.compile(r"^(\d*)([.)](?=\s|$)|[#>=]|[+-](?=[\s-]|$))")


def document(blocks: Sequence[Block]) -> str:
    """The whole text."""
    return "\n\n".join(part for part in map(_markdown, blocks) if part) + "\n"


def text(words: str) -> str:
    """Words as they are, whatever they would mean as markup."""
    if isinstance(words, Verbatim):
        return f"`{safe(words).replace('`', chr(39))}`"
    line = _MARKUP.sub(lambda found: f"\\{found[0]}", safe(words))
    line = re.sub("[&<@]", lambda found: _REFERENCES[found[0]], line)
    return _LINKS.sub(lambda found: f"\\{found[0]}" if found[0] == "." else ":\\", line)


def _line(words: str) -> str:
    """The same at the beginning of a line, where more is markup."""
    return _FIRST.sub(r"\1\\\2", text(words))


def _cell(words: str) -> str:
    return text(words).replace("|", "\\|") if isinstance(words, Verbatim) else text(words)


@singledispatch
def _markdown(block: Block) -> str:
    raise TypeError(type(block).__name__)


@_markdown.register
def _heading(block: Heading) -> str:
    return f"{'#' * block.level} {text(block.text)}"


@_markdown.register
def _words(block: Words) -> str:
    line = " ".join(joined(block.parts, text).split())
    line = line if block.parts and isinstance(block.parts[0], Verbatim) else _FIRST.sub(r"\1\\\2", line)
    return f"**{line}**" if {"large", "bad"} & set(block.tone.split()) else line


@_markdown.register
def _tiles(block: Tiles) -> str:
    return "\n".join(f"- {text(name)}: **{text(value)}**" for name, value in block.facts)


@_markdown.register
def _table(block: Table) -> str:
    rule = ["---:" if name in block.numbers else "---" for name in block.head]
    rows = [[_cell(name) for name in block.head], rule, *([_cell(cell) for cell in row] for row in block.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


@_markdown.register
def _patch(block: Patch) -> str:
    lines = patch_lines(block.text.rstrip("\n"))
    longest = max((len(found) for line in lines for found in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}diff", *lines, fence])


@_markdown.register
def _figure(block: Figure) -> str:
    return _line(block.words)


@_markdown.register
def _fold(block: Fold) -> str:
    return "\n\n".join([f"**{text(block.title)}**", *map(_markdown, block.blocks)])
