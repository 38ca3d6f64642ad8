"""`name  value` lines."""

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from autoresearch.text import plain_text

INDENT = 12  # characters
LONGEST = 4000  # characters of a value


def print_pairs(pairs: Mapping[str, str], console: Console, indent: int = INDENT) -> None:
    """What there is to say, name by name; in a terminal a long value goes on below itself, elsewhere it is one line."""
    for name, value in pairs.items():
        text = Text(plain_text(value if len(value) <= LONGEST else f"{value[:LONGEST]}..."))
        lines = list(text.wrap(console, max(20, console.width - indent))) if console.is_terminal else [text]
        for k, line in enumerate(lines):
            line.rstrip()
            console.print(Text.assemble((f"{'' if k else name:{indent}}", "bold"), line), soft_wrap=True)
