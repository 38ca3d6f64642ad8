"""Blocks as HTML: the report, one page that needs nothing else (no network, no script, no other file), and other pages."""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import singledispatchmethod
from html import escape
from importlib import resources

from autoresearch.report.blocks import (
    Block,
    Figure,
    Fold,
    Heading,
    Href,
    Link,
    Patch,
    Ref,
    Table,
    Tiles,
    Verbatim,
    Words,
    joined,
    patch_lines,
    safe,
)

PROSE, PROSE_NAMES = 30, ("what", "why")  # characters of a cell from which a column is prose; what always is
PROSE_SIDE = ' class="prose"'  # rows with prose are cards on a phone
ARROWS = " ↓↑"  # after the name of the column that a table is sorted by
MARKS = {"+": "added", "-": "removed", "@": "place"}
HEAD = (
    '<meta charset="utf-8">\n<meta name="referrer" content="no-referrer">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
)


def page(title: str, blocks: Sequence[Block]) -> str:
    """The whole page. Its policy allows our style sheet, named by its hash, and nothing besides."""
    style = stylesheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    rules = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    head = f"{rules}\n<title>{escape(safe(title))}</title>\n<style>{style}</style>"
    anchors = set(_anchors(blocks))
    href = lambda n: f"#n{n}" if f"n{n}" in anchors else ""  # noqa: E731
    return framed(head, f"<main>\n{html(blocks, href)}\n</main>")


def framed(head: str, body: str) -> str:
    """A page around markup of ours."""
    return f'<!doctype html>\n<html lang="en">\n<head>\n{HEAD}{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def stylesheet() -> str:
    """The one style sheet of all pages."""
    return resources.files("autoresearch.report").joinpath("report.css").read_text("utf-8")


def html(blocks: Sequence[Block], href: Href) -> str:
    """Blocks as markup; `href` says where the number of an experiment leads."""
    return _Writer(href).all(blocks)


def _anchors(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Heading):
            yield block.anchor
        elif isinstance(block, Fold):
            yield from _anchors(block.blocks)


class _Writer:
    """Writes blocks; text of others comes onto the page through `text` alone."""

    def __init__(self, href: Href) -> None:
        self.href = href

    def all(self, blocks: Sequence[Block]) -> str:
        return "\n".join(self.block(block) for block in blocks)

    def text(self, words: str) -> str:
        text = escape(safe(words))
        if isinstance(words, Verbatim):
            return f"<code>{text}</code>"
        leads = words.href if isinstance(words, Link) else self.href(int(words)) if isinstance(words, Ref) else ""
        return f'<a href="{escape(leads)}">{text}</a>' if leads else text

    @singledispatchmethod
    def block(self, block: Block) -> str:
        raise TypeError(type(block).__name__)

    @block.register
    def _heading(self, block: Heading) -> str:
        anchor = f' id="{escape(block.anchor)}"' if block.anchor else ""
        return f"<h{block.level}{anchor}>{self.text(block.text)}</h{block.level}>"

    @block.register
    def _words(self, block: Words) -> str:
        tone = f' class="{block.tone}"' if block.tone else ""
        return f"<p{tone}>{joined(block.parts, self.text)}</p>"

    @block.register
    def _tiles(self, block: Tiles) -> str:
        facts = (f"<div><dt>{self.text(name)}</dt><dd>{self.text(value)}</dd></div>" for name, value in block.facts)
        return f'<dl class="tiles">{"".join(facts)}</dl>'

    @block.register
    def _table(self, block: Table) -> str:
        sides = [_side(block, k) for k in range(len(block.head))]
        head = "".join(f"<th{side}>{self.text(name)}</th>" for side, name in zip(sides, block.head, strict=True))
        table = "<table>"
        if PROSE_SIDE in sides:
            table = '<table class="cards">'
            names = [escape(safe(name.rstrip(ARROWS))) for name in block.head]
            sides = [f'{side} data-name="{name}"' for side, name in zip(sides, names, strict=True)]
        cells = ([f"<td{s}>{self.text(cell)}</td>" for s, cell in zip(sides, row, strict=True)] for row in block.rows)
        body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in cells)
        return f'<div class="wide">{table}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'

    @block.register
    def _patch(self, block: Patch) -> str:
        lines = patch_lines(block.text.rstrip("\n"))
        marked = (f'<span class="{MARKS.get(line[:1], "same")}">{escape(line)}\n</span>' for line in lines)
        return f'<pre class="wide">{"".join(marked)}</pre>'

    @block.register
    def _figure(self, block: Figure) -> str:
        name = f' data-chart="{escape(block.name)}"' if block.name else ""
        return f'<figure class="wide"{name}>{block.draw(self.href)}</figure>'

    @block.register
    def _fold(self, block: Fold) -> str:
        unfolded = " open" if block.unfolded else ""
        return f"<details{unfolded}><summary>{self.text(block.title)}</summary>\n{self.all(block.blocks)}\n</details>"


def _side(block: Table, k: int) -> str:
    """How a column is set: numbers to the right, long words with room to be read."""
    if block.head[k] in block.numbers:
        return ' class="number"'
    long = block.head[k] in PROSE_NAMES or any(len(row[k]) > PROSE for row in block.rows)
    return PROSE_SIDE if long else ""
