"""What is around the blocks of every page: head, way to the other pages, scripts."""

from collections.abc import Sequence
from html import escape

from autoresearch.report.blocks import Block, safe
from autoresearch.report.html import framed, html
from autoresearch.web.site import address

STYLES = ("style.css", "uplot.css")
SCRIPTS = ("uplot.js", "pages.js")


def page(
    title: str, blocks: Sequence[Block], tag: str | None = None, base: str = "", live: bool = False, broad: bool = False
) -> str:
    """A whole page. `base` is where the numbers of its pictures are; what is `live` is looked at again and again."""
    links = "".join(f'<link rel="stylesheet" href="/static/{name}">\n' for name in STYLES)
    scripts = "".join(f'<script src="/static/{name}" defer></script>\n' for name in SCRIPTS)
    again = '<noscript><meta http-equiv="refresh" content="15"></noscript>\n' if live else ""
    href = (lambda n: address(tag, n)) if tag is not None else (lambda n: "")
    head = f'<title>{escape(safe(title))}</title>\n<link rel="icon" href="data:,">\n{links}{again}{scripts}'
    state = f' data-state="{escape(address(tag, "state.json"))}"' if live and tag is not None else ""
    kind = ' class="broad"' if broad else ""
    return framed(
        head, f'{_header(tag)}\n<main{kind} data-base="{escape(base)}"{state}>\n{html(blocks, href)}\n</main>'
    )


def _header(tag: str | None) -> str:
    places = [("sessions", "/"), ("side by side", "/compare")]
    if tag is not None:
        places[1:1] = [(safe(tag, 40), address(tag)), ("experiments", address(tag, "experiments"))]
    links = " ".join(f'<a href="{escape(to)}">{escape(words)}</a>' for words, to in places)
    return f"<header><nav>{links}</nav></header>"
