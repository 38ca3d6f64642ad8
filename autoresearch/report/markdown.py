"""Render blocks as GitHub's Markdown; text of others cannot become markup or links."""

import re
from collections.abc import Sequence

from autoresearch.report.blocks import (
    Block,
    Code,
    Curves,
    Figure,
    Fold,
    Heading,
    Pairs,
    Paragraph,
    Table,
    Tiles,
    Verbatim,
    code_lines,
    join,
    safe,
)

_MARKUP = re.compile(r"[\\`*\[\]|~$]|(?<!\w)_|_(?!\w)")
_REFERENCES = {"&": "&amp;", "<": "&lt;", "@": "&#64;"}
_LINKS = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_FIRST = re.compile(r"^(\d*)([.)](?=\s|$)|[#>=]|[+-](?=[\s-]|$))")


def document(blocks: Sequence[Block]) -> str:
    return "\n\n".join(part for part in map(_markdown, blocks) if part) + "\n"


def text(words: str) -> str:
    """Escape whatever would be markup in a text."""
    if isinstance(words, Verbatim):
        return f"`{safe(words).replace('`', chr(39))}`"
    line = _MARKUP.sub(lambda match: f"\\{match[0]}", safe(words))
    line = re.sub("[&<@]", lambda match: _REFERENCES[match[0]], line)
    return _LINKS.sub(lambda match: f"\\{match[0]}" if match[0] == "." else ":\\", line)


def _line(words: str) -> str:
    """Escape also what is markup only at the beginning of a line."""
    return _FIRST.sub(r"\1\\\2", text(words))


def _cell(words: str) -> str:
    return text(words).replace("|", "\\|") if isinstance(words, Verbatim) else text(words)


def _markdown(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {text(block.text)}"
        case Paragraph():
            return _paragraph(block)
        case Tiles():
            return "\n".join(f"- {text(name)}: **{text(value)}**" for name, value in block.facts)
        case Pairs():
            return "\n".join(f"- {text(name)}: {text(value)}" for name, value in block.pairs.items())
        case Table():
            return _table(block)
        case Code():
            return _code(block)
        case Figure():
            return _line(block.words)
        case Curves():
            return ""  # drawn in HTML and in terminals only
        case Fold():
            return "\n\n".join([f"**{text(block.title)}**", *map(_markdown, block.blocks)])


def _paragraph(block: Paragraph) -> str:
    line = " ".join(join(block.parts, text).split())
    line = line if block.parts and isinstance(block.parts[0], Verbatim) else _FIRST.sub(r"\1\\\2", line)
    return f"**{line}**" if {"large", "bad"} & set(block.tone.split()) else line


def _table(block: Table) -> str:
    rule = ["---:" if name in block.numbers else "---" for name in block.head]
    rows = [[_cell(name) for name in block.head], rule, *([_cell(cell) for cell in row] for row in block.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _code(block: Code) -> str:
    lines = code_lines(block.text)
    longest = max((len(found) for line in lines for found in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join([f"{fence}{block.language}", *lines, fence])
