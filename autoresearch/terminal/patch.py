"""A change in a terminal: what comes and goes in green and red, and in every line the words of Python told apart."""

import keyword
import re
from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from autoresearch.text import plain_text

SIGNS = {"+": "green", "-": "red", "@": "cyan"}
AROUND = {"comment": "dim", "string": "yellow", "number": "cyan", "keyword": "magenta"}  # in lines that stay
CHANGED = {"comment": "dim", "keyword": "bold"}  # in others: their own colour says what matters most
LONGEST = 500  # characters of a line that is looked into

_WORDS = re.compile(
    r"""(?P<comment>\#.*)
    | (?P<string>[rbfu]{0,2}(?:\"{3}.*?(?:\"{3}|$) | '{3}.*?(?:'{3}|$) | "(?:[^"\\]|\\.?)*"? | '(?:[^'\\]|\\.?)*'?))
    | (?P<number>\d[\w.]*)
    | (?P<word>[^\W\d]\w*)""",
    re.VERBOSE | re.IGNORECASE,
)


def print_patch(patch: str, console: Console) -> None:
    """All of a change, without anything else that a terminal obeys; nothing is cut."""
    text = Text()
    for line in plain_text(patch).splitlines(keepends=True):
        text.append_text(_coloured(line))
    console.print(text, soft_wrap=True, end="")


def _coloured(line: str) -> Text:
    if line.startswith(("--- ", "+++ ")):
        return Text(line, "bold")
    text = Text(line, SIGNS.get(line[0], ""))
    if line[0] in "+- " and len(line) <= LONGEST:
        styles = AROUND if line[0] == " " else CHANGED
        for kind, start, end in _words(line):
            text.stylize(styles.get(kind, ""), start, end)
    return text


def _words(line: str) -> Iterator[tuple[str, int, int]]:
    """What is to be told apart in a line of Python: comment, string, number or keyword, and from where to where."""
    for found in _WORDS.finditer(line, 1):
        kind = found.lastgroup or ""
        if kind != "word":
            yield kind, *found.span()
        elif keyword.iskeyword(found[0]):
            yield "keyword", *found.span()
