"""Put blocks into a served page: head, navigation, scripts."""

from collections.abc import Sequence
from html import escape

from autoresearch.report.blocks import Block, safe
from autoresearch.report.html import document, html
from autoresearch.web.site import address

STYLES = ("style.css", "uplot.css")
SCRIPTS = ("uplot.js", "pages.js")


def page(
    title: str, blocks: Sequence[Block], tag: str | None = None, base: str = "", live: bool = False, broad: bool = False
) -> str:
    """Return a whole page; `base` is the address of its charts' data, `live` ones reload."""
    links = "".join(f'<link rel="stylesheet" href="/static/{name}">\n' for name in STYLES)
    scripts = "".join(f'<script src="/static/{name}" defer></script>\n' for name in SCRIPTS)
    refresh = '<noscript><meta http-equiv="refresh" content="15"></noscript>\n' if live else ""
    href = (lambda n: address(tag, n)) if tag is not None else (lambda n: "")
    head = f'<title>{escape(safe(title))}</title>\n<link rel="icon" href="data:,">\n{links}{refresh}{scripts}'
    state = f' data-state="{escape(address(tag, "state.json"))}"' if live and tag is not None else ""
    kind = ' class="broad"' if broad else ""
    main = f'<main{kind} data-base="{escape(base)}"{state}>\n{html(blocks, href)}\n</main>'
    return document(head, f"{_header(tag)}\n{main}")


def _header(tag: str | None) -> str:
    links = [("sessions", "/"), ("side by side", "/compare")]
    if tag is not None:
        links[1:1] = [(safe(tag, 40), address(tag)), ("experiments", address(tag, "experiments"))]
        links.insert(3, ("curves", address(tag, "curves")))
    anchors = " ".join(f'<a href="{escape(to)}">{escape(words)}</a>' for words, to in links)
    return f"<header><nav>{anchors}</nav></header>"
