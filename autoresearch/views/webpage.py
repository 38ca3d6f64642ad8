"""Blocks as one HTML page that needs nothing else: no network, no script, no other file."""

import base64
import hashlib
from collections.abc import Sequence
from functools import singledispatch
from html import escape
from importlib import resources

from autoresearch.views.blocks import (
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

PROSE = 30  # characters of a cell from which a column is prose
MARKS = {"+": "added", "-": "removed", "@": "place"}


def page(title: str, blocks: Sequence[Block]) -> str:
    """The whole page. Its policy allows our style sheet, named by its hash, and nothing besides."""
    style = resources.files("autoresearch.views").joinpath("templates/report.css").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="referrer" content="no-referrer">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{_text(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n<main>\n"
        f"{_all(blocks)}\n</main>\n</body>\n</html>\n"
    )


def _all(blocks: Sequence[Block]) -> str:
    return "\n".join(_html(block) for block in blocks)


def _text(words: str) -> str:
    """The one way by which text comes onto the page."""
    text = escape(safe(words))
    return f"<code>{text}</code>" if isinstance(words, Verbatim) else text


@singledispatch
def _html(block: Block) -> str:
    raise TypeError(type(block).__name__)


@_html.register
def _heading(block: Heading) -> str:
    anchor = f' id="{escape(block.anchor)}"' if block.anchor else ""
    return f"<h{block.level}{anchor}>{_text(block.text)}</h{block.level}>"


@_html.register
def _words(block: Words) -> str:
    tone = f' class="{block.tone}"' if block.tone else ""
    return f"<p{tone}>{joined(block.parts, _text)}</p>"


@_html.register
def _tiles(block: Tiles) -> str:
    facts = (f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>" for name, value in block.facts)
    return f'<dl class="tiles">{"".join(facts)}</dl>'


@_html.register
def _table(block: Table) -> str:
    sides = [_side(block, k) for k in range(len(block.head))]
    head = "".join(f"<th{side}>{_text(name)}</th>" for side, name in zip(sides, block.head, strict=True))
    lines = ("".join(f"<td{s}>{_text(cell)}</td>" for s, cell in zip(sides, row, strict=True)) for row in block.rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _side(block: Table, k: int) -> str:
    """How a column is set: numbers to the right, long words with room to be read."""
    if block.head[k] in block.numbers:
        return ' class="number"'
    return ' class="prose"' if any(len(row[k]) > PROSE for row in block.rows) else ""


@_html.register
def _patch(block: Patch) -> str:
    lines = (f'<span class="{MARKS.get(line[:1], "same")}">{escape(line)}\n</span>' for line in patch_lines(block.text.rstrip("\n")))
    return f'<pre class="wide">{"".join(lines)}</pre>'


@_html.register
def _figure(block: Figure) -> str:
    return f'<figure class="wide">{block.svg}</figure>'


@_html.register
def _fold(block: Fold) -> str:
    unfolded = " open" if block.unfolded else ""
    return f"<details{unfolded}><summary>{_text(block.title)}</summary>\n{_all(block.blocks)}\n</details>"
