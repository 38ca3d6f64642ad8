"""Bound and count the text that goes to a model, and quote untrusted text as data."""

import re
from collections.abc import Iterable

BYTES_PER_TOKEN = 3  # program text and English have more in all current tokenizers, so counts are upper bounds
NOTICE_TOKENS = 12  # of the line that says how much is missing


def count_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few."""
    return -(-len(text.encode(errors="replace")) // BYTES_PER_TOKEN)


def cut(text: str, max_tokens: int) -> str:
    """Cut a text to about `max_tokens`, and say how much is missing."""
    if count_tokens(text) <= max_tokens:
        return text
    size = max(0, max_tokens - NOTICE_TOKENS) * BYTES_PER_TOKEN
    start = text.encode(errors="replace")[:size].decode(errors="ignore")
    return f"{start}\n... ({len(text) - len(start)} more characters)"


def take_fitting(lines: Iterable[str], max_tokens: int) -> list[str]:
    """Return the first lines that have at most `max_tokens` together."""
    taken = []
    for line in lines:
        max_tokens -= count_tokens(f"{line}\n")
        if max_tokens < 0:
            break
        taken.append(line)
    return taken


def quote(origin: str, text: str, max_chars: int = 40_000) -> str:
    """Quote untrusted text as data, without control characters and without a closing tag of its own."""
    text = re.sub(r"[^\t\n\x20-\x7e\xa0-\U0010ffff]", "?", text)
    text = re.sub(r"<(?=\s*/?\s*data\b)", "&lt;", text, flags=re.I)
    more = f"\n... ({len(text) - max_chars} more characters)" if len(text) > max_chars else ""
    return f'<data from="{origin}">\n{text[:max_chars]}{more}\n</data>'


def table_cell(text: str, max_chars: int) -> str:
    """Return a text as one cell of a Markdown table."""
    line = " ".join(text.replace("|", "/").split())
    return line if len(line) <= max_chars else f"{line[: max_chars - 3]}..."
