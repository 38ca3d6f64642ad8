"""Vocabulary of pages: a page is a list of blocks.

They are rendered by html.py, markdown.py and terminal/console.py. Blocks hold text as it was found, including untrusted
text of agents and programs. Only the renderers write markup, and they clean and escape every string.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from autoresearch.text import one_line, plain_text

MAX_CHARS = 2000  # of one string on a page
PATCH_LINES, PATCH_COLUMNS = 400, 240  # of a change on a page; the rest is counted
PROSE_CHARS, PROSE_NAMES = 30, ("what", "why")  # cells from so many characters on are prose, and these columns always


class Verbatim(str):
    """A command or a hash, to be copied letter by letter."""


class Ref(str):
    """The number of an experiment; pages link it to its details."""

    def __new__(cls, n: int) -> "Ref":
        return super().__new__(cls, n)


class Link(str):
    """Text that links to another page; `href` is ours, never text of others."""

    href: str

    def __new__(cls, words: str, href: str) -> "Link":
        link = super().__new__(cls, words)
        link.href = href
        return link


class Toned(str):
    """Text with a tone, shown as a colour: good, bad, failed, warn or quiet."""

    tone: str

    def __new__(cls, words: str, tone: str) -> "Toned":
        text = super().__new__(cls, words)
        text.tone = tone
        return text


Href = Callable[[int], str]
"""Address of the details of an experiment, or an empty string."""


@dataclass(frozen=True)
class Heading:
    """A heading; `anchor` names it for links on the page."""

    text: str
    level: int = 2
    anchor: str = ""


@dataclass(frozen=True)
class Paragraph:
    """Pieces of text; `tone` is one or more of good, bad, failed, warn, large, quiet."""

    parts: Sequence[str]
    tone: str = ""


@dataclass(frozen=True)
class Tiles:
    """Single facts side by side: (name, value)."""

    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Pairs:
    """Names with values, one a line."""

    pairs: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """Cells by row; columns in `numbers` are aligned to the right.

    A narrow terminal leaves out the column with the highest rank first, and those of rank 0, the default, never.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[str] = frozenset()
    ranks: Mapping[str, int] = field(default_factory=dict)

    def is_prose(self, k: int) -> bool:
        if self.head[k] in self.numbers:
            return False
        return self.head[k] in PROSE_NAMES or any(len(row[k]) > PROSE_CHARS for row in self.rows)


@dataclass(frozen=True)
class Code:
    """Lines to be shown as they are, of a language: diff, python or none."""

    text: str
    language: str = ""


@dataclass(frozen=True)
class Figure:
    """A picture. `draw` returns our own markup; `words` replace it if there are no pictures.

    The script of served pages draws it again from the numbers at the address `name`.
    """

    draw: Callable[[Href], str]
    words: str = ""
    name: str = ""


@dataclass(frozen=True)
class Curve:
    """One line with its name. With `steps` a value holds until the next one."""

    name: str
    points: Sequence[tuple[float, float]]
    steps: bool = False


@dataclass(frozen=True)
class Curves:
    """Curves on the same axes, the most important one first; `name` as for figures."""

    curves: Sequence[Curve]
    across: str
    up: str
    name: str = ""


@dataclass(frozen=True)
class Fold:
    """Blocks that can be folded away."""

    title: str
    blocks: Sequence["Block"]
    unfolded: bool = False


Block = Heading | Paragraph | Tiles | Pairs | Table | Code | Figure | Curves | Fold


def safe(text: str, most: int = MAX_CHARS) -> str:
    """Return text without control characters, on one line, cut."""
    return one_line(text, most)


def join(parts: Sequence[str], write: Callable[[str], str]) -> str:
    """Join the pieces of a paragraph as a renderer writes them; spaces at their ends are kept."""
    return "".join(f"{' ' * part.startswith(' ')}{write(part)}{' ' * part.endswith(' ')}" for part in parts)


def code_lines(text: str) -> list[str]:
    """Return cleaned lines for a page: long ones are cut, too many ones are counted."""
    all_lines = text.rstrip("\n").split("\n")
    lines = [
        plain_text(line[: 4 * PATCH_COLUMNS]).replace("\n", " ")[:PATCH_COLUMNS] for line in all_lines[:PATCH_LINES]
    ]
    more = len(all_lines) - PATCH_LINES
    return [*lines, f"... {more} more lines"] if more > 0 else lines
