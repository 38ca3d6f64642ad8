"""Render blocks as HTML. The report needs no network, no script and no other file."""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources

from autoresearch.report import curves
from autoresearch.report.blocks import (
    Block,
    Code,
    Curves,
    Figure,
    Fold,
    Heading,
    Href,
    Link,
    Pairs,
    Paragraph,
    Ref,
    Table,
    Tiles,
    Toned,
    Verbatim,
    code_lines,
    join,
    safe,
)

NUMBER = ' class="number"'
PROSE = ' class="prose"'
CARD_COLUMNS = 5  # rows of so many columns are cards on a phone, as are those with prose
ARROWS = " ↓↑"  # after the name of the column that a table is sorted by
MARKS = {"+": "added", "-": "removed", "@": "place"}
HEAD = (
    '<meta charset="utf-8">\n<meta name="referrer" content="no-referrer">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="color-scheme" content="light dark">\n'
)


def page(title: str, blocks: Sequence[Block]) -> str:
    """Return a page whose policy allows our style sheet, by its hash, and nothing else."""
    style = stylesheet()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    rules = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    head = f"{rules}\n<title>{escape(safe(title))}</title>\n<style>{style}</style>"
    anchors = set(_anchors(blocks))
    href = lambda n: f"#n{n}" if f"n{n}" in anchors else ""  # noqa: E731
    return document(head, f"<main>\n{html(blocks, href)}\n</main>")


def document(head: str, body: str) -> str:
    return f'<!doctype html>\n<html lang="en">\n<head>\n{HEAD}{head}\n</head>\n<body>\n{body}\n</body>\n</html>\n'


def stylesheet() -> str:
    return resources.files("autoresearch.report").joinpath("report.css").read_text("utf-8")


def html(blocks: Sequence[Block], href: Href) -> str:
    """Render blocks; `href` returns the address of an experiment."""
    return _Renderer(href).render(blocks)


def _anchors(blocks: Sequence[Block]) -> Iterator[str]:
    for block in blocks:
        if isinstance(block, Heading):
            yield block.anchor
        elif isinstance(block, Fold):
            yield from _anchors(block.blocks)


class _Renderer:
    """Render blocks; text of others comes onto the page through `text` alone."""

    def __init__(self, href: Href) -> None:
        self.href = href

    def render(self, blocks: Sequence[Block]) -> str:
        return "\n".join(self.block(block) for block in blocks)

    def text(self, words: str) -> str:
        text = escape(safe(words))
        if isinstance(words, Verbatim):
            return f"<code>{text}</code>"
        if isinstance(words, Toned) and words.tone:
            return f'<span class="{words.tone}">{text}</span>'
        address = words.href if isinstance(words, Link) else self.href(int(words)) if isinstance(words, Ref) else ""
        return f'<a href="{escape(address)}">{text}</a>' if address else text

    def block(self, block: Block) -> str:
        match block:
            case Heading():
                anchor = f' id="{escape(block.anchor)}"' if block.anchor else ""
                return f"<h{block.level}{anchor}>{self.text(block.text)}</h{block.level}>"
            case Paragraph():
                tone = f' class="{block.tone}"' if block.tone else ""
                return f"<p{tone}>{join(block.parts, self.text)}</p>"
            case Tiles():
                return f'<dl class="tiles">{self.terms(block.facts, "<div>{}</div>")}</dl>'
            case Pairs():
                return f'<dl class="pairs">{self.terms(block.pairs.items(), "{}")}</dl>'
            case Table():
                return self.table(block)
            case Code():
                return _code(block)
            case Figure():
                return _figure(block.draw(self.href), block.name)
            case Curves():
                return _figure(curves.draw(block), block.name)
            case Fold():
                title, unfolded = self.text(block.title), " open" if block.unfolded else ""
                return f"<details{unfolded}><summary>{title}</summary>\n{self.render(block.blocks)}\n</details>"

    def terms(self, pairs: Iterable[tuple[str, str]], form: str) -> str:
        found = (f"<dt>{self.text(name)}</dt><dd>{self.text(value)}</dd>" for name, value in pairs)
        return "".join(map(form.format, found))

    def table(self, block: Table) -> str:
        columns = enumerate(block.head)
        kinds = [NUMBER if name in block.numbers else PROSE if block.is_prose(k) else "" for k, name in columns]
        head = "".join(f"<th{each}>{self.text(name)}</th>" for each, name in zip(kinds, block.head, strict=True))
        table = "<table>"
        if PROSE in kinds or len(kinds) >= CARD_COLUMNS:
            table = '<table class="cards">'
            names = [escape(safe(name.rstrip(ARROWS))) for name in block.head]
            kinds = [f'{each} data-name="{name}"' for each, name in zip(kinds, names, strict=True)]
        cells = ([f"<td{c}>{self.text(cell)}</td>" for c, cell in zip(kinds, row, strict=True)] for row in block.rows)
        body = "\n".join(f"<tr>{''.join(row)}</tr>" for row in cells)
        return f'<div class="wide">{table}\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _code(block: Code) -> str:
    marks = MARKS if block.language == "diff" else {}
    spans = (f'<span class="{marks.get(line[:1], "same")}">{escape(line)}\n</span>' for line in code_lines(block.text))
    return f"<pre>{''.join(spans)}</pre>"


def _figure(markup: str, name: str) -> str:
    chart = f' data-chart="{escape(name)}"' if name else ""
    return f"<figure{chart}>{markup}</figure>"
