"""Size of a program in lines of code and tokens."""

import io
import tokenize
from dataclasses import dataclass

from autoresearch.source.parsing import only_syntax_errors, parse

_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip


@dataclass(frozen=True)
class Size:
    """Lines that hold code, and tokens; comments and docstrings do not count."""

    lines: int
    tokens: int


def size(text: str) -> Size:
    """Return the size of a program. Raises SyntaxError."""
    parse(text)  # the tokenizer also accepts texts that are no programs
    with only_syntax_errors():
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    found = [token for token in tokens if token.type not in _NO_CODE]
    code = [token for token in found if not _is_bare_string(token)]
    lines = {line for token in code for line in range(token.start[0], token.end[0] + 1)}
    return Size(len(lines), len(code))


def size_or_none(text: str | None) -> Size | None:
    """Return the size of a text; None if there is none, or if it is no program."""
    try:
        return size(text) if text is not None else None
    except SyntaxError:
        return None


def _is_bare_string(token: tokenize.TokenInfo) -> bool:
    """Return whether a token is a string that is a statement of its own, such as a docstring."""
    if token.type != tokenize.STRING:
        return False
    first = not token.line[: token.start[1]].strip()
    return first and not token.line.splitlines()[-1][token.end[1] :].split("#")[0].strip()
