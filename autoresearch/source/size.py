"""How much code a program is, by its tokens."""

import io
import tokenize
from collections.abc import Sequence
from dataclasses import dataclass

from autoresearch.source import constants

_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """How much code a program is: lines that hold some, and tokens; comments and docstrings do not count."""

    lines: int
    tokens: int


def size(text: str) -> Size:
    """The size of a program. Raises SyntaxError."""
    constants.parse(text)  # the tokenizer takes texts that are no programs
    found = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in _NO_CODE]
    code = [token for k, token in enumerate(found) if not _stands_alone(found, k)]
    lines = {line for token in code for line in range(token.start[0], token.end[0] + 1)}
    return Size(len(lines), len(code))


def of(text: str | None) -> Size | None:
    """The size of what may be no program, or nothing."""
    try:
        return size(text) if text is not None else None
    except SyntaxError:
        return None


def _stands_alone(tokens: Sequence[tokenize.TokenInfo], k: int) -> bool:
    """Whether a token is a string that is a statement of its own, as docstrings are."""
    token = tokens[k]
    if token.type != tokenize.STRING:
        return False
    first = not token.line[: token.start[1]].strip()
    return first and not token.line.splitlines()[-1][token.end[1] :].split("#")[0].strip()
