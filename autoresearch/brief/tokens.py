"""Text that goes to a model: untrusted words as data, everything bounded and counted."""

import re
from collections.abc import Iterable

BYTES_PER_TOKEN = 3  # of program text and English in any tokenizer of today there are more: counts are upper bounds


def tokens(text: str) -> int:
    """About how many tokens a text has, rather too many than too few."""
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def cut(text: str, most: int) -> str:
    """The beginning of a text, up to about `most` tokens, and how much is missing."""
    if tokens(text) <= most:
        return text
    kept = text.encode(errors="replace")[: max(0, (most - 12) * BYTES_PER_TOKEN)].decode(errors="ignore")
    return f"{kept}\n... ({len(text) - len(kept)} more characters)"


def fitting(lines: Iterable[str], most: int) -> list[str]:
    """The first lines that have no more than `most` tokens together."""
    found = []
    for line in lines:
        most -= tokens(f"{line}\n")
        if most < 0:
            break
        found.append(line)
    return found


def quote(origin: str, text: str, most: int = 40_000) -> str:
    """Untrusted text as data: no control characters, no closing tag of its own, at most `most` characters."""
    text = re.sub(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]", "?", text)
    text = re.sub(r"<(?=\s*/?\s*data\b)", "&lt;", text, flags=re.I)
    more = f"\n... ({len(text) - most} more characters)" if len(text) > most else ""
    return f'<data from="{origin}">\n{text[:most]}{more}\n</data>'


def cell(text: str, most: int) -> str:
    """One cell of a Markdown table, at most `most` characters."""
    line = " ".join(text.replace("|", "/").split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
