"""A page as a list of blocks, before it is HTML or Markdown.

Blocks hold text as it was found, untrusted words of agents and programs among it. Only the two renderers
(webpage.py, markdown.py) write markup, and they clean and escape every string that they are given.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoresearch.text import one_line, plain_text

LONGEST = 2000  # characters of one string on a page
PATCH_LINES, PATCH_COLUMNS = 400, 240  # of a change; the rest is counted


class Verbatim(str):
    """Words to be typed or compared letter by letter: a command, a hash."""


class Ref(str):
    """The number of an experiment: a page makes a link of it where there is more to see of it."""


class Link(str):
    """Words that lead to another page. `href` is ours, never what others wrote; Markdown has the words only."""

    href: str

    def __new__(cls, words: str, href: str) -> "Link":
        """Words, and where they lead."""
        link = super().__new__(cls, words)
        link.href = href
        return link


Href = Callable[[int], str]
"""Where there is more of an experiment, or an empty string."""


@dataclass(frozen=True)
class Heading:
    """`anchor` names it for links from inside the page."""

    text: str
    level: int = 2
    anchor: str = ""


@dataclass(frozen=True)
class Words:
    """A paragraph of pieces; `tone` is good, bad, large, quiet or nothing."""

    parts: Sequence[str]
    tone: str = ""


@dataclass(frozen=True)
class Tiles:
    """Single facts side by side: (name, value)."""

    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Table:
    """Cells by row; the columns named in `numbers` are aligned to the right."""

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Patch:
    """A unified diff, or other lines to be shown as they are."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A picture. `draw` gives markup that we made; `words` say what it shows where there are no pictures.

    Where pages are served, a script draws it anew from the numbers that go by its `name`.
    """

    draw: Callable[[Href], str]
    words: str = ""
    name: str = ""


@dataclass(frozen=True)
class Fold:
    """Blocks that can be folded away."""

    title: str
    blocks: Sequence["Block"]
    unfolded: bool = False


Block = Heading | Words | Tiles | Table | Patch | Figure | Fold


def safe(text: str, most: int = LONGEST) -> str:
    """Text without control characters, on one line, cut."""
    return one_line(text, most)


def joined(parts: Sequence[str], written: Callable[[str], str]) -> str:
    """The pieces of a paragraph as a renderer writes them; the space on their sides is kept."""
    return "".join(f"{' ' * part.startswith(' ')}{written(part)}{' ' * part.endswith(' ')}" for part in parts)


def patch_lines(text: str) -> list[str]:
    """The lines of a patch, cleaned; what is too long is cut, what is too much is counted."""
    found = text.split("\n")
    lines = [plain_text(line[: 4 * PATCH_COLUMNS]).replace("\n", " ")[:PATCH_COLUMNS] for line in found[:PATCH_LINES]]
    more = len(found) - PATCH_LINES
    return [*lines, f"... {more} more lines"] if more > 0 else lines
