"""Size of a program: lines of code, tokens, and the data that it may hold."""

import io
import tokenize
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from autoresearch.source.parsing import only_syntax_errors
from autoresearch.source.prose import EMPTY, STRINGS, without_prose
from autoresearch.source_tree import SourceTree

MAX_LITERAL_BYTES = 8_192  # that a version may hold, whatever its base holds ...
LITERAL_ALLOWANCE = 2_048  # ... or so many more than its base
CODE_ALLOWANCE = 16_384  # bytes of code more than its base, compressed: data cannot be, in whatever form it comes
MAX_WORD_BYTES = 24  # a longer name or number holds text
_NO_CODE = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER,
}  # fmt: skip
_WORDS = {tokenize.NAME, tokenize.NUMBER}


@dataclass(frozen=True)
class Size:
    """Lines that hold code, tokens, and bytes of text: in strings, in long names and numbers, in rows of blanks.

    Comments and docstrings do not count: cells do not get them.
    """

    lines: int
    tokens: int
    text: int = 0

    def is_smaller_than(self, other: "Size") -> bool:
        """Return whether this is less code: a program that moved into a string is not, nor if it was compressed."""
        fewer = self.lines < other.lines and self.tokens < other.tokens
        return fewer and self.tokens + self.text < other.tokens + other.text


def size(text: str) -> Size:
    """Return the size of a version. Raises SyntaxError for a train.py that is no program."""
    tree = SourceTree.parse(text)
    if not tree.framed:
        return _program_size(text)
    sizes = [_file_size(path, each) for path, each in tree.files.items()]
    return Size(sum(x.lines for x in sizes), sum(x.tokens for x in sizes), sum(x.text for x in sizes))


def _file_size(path: str, text: str) -> Size:
    """Return the size of a file: of a program, or of the lines and words of another text."""
    with suppress(SyntaxError):
        if path.endswith(".py"):
            return _program_size(text)
    return Size(sum(bool(line.strip()) for line in text.split("\n")), len(text.split()), len(text.encode()))


def _program_size(text: str) -> Size:
    with only_syntax_errors():
        tokens = list(_code(without_prose(text)))
    lines = {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}
    return Size(len(lines), len(tokens), sum(map(_text_bytes, tokens)) + sum(map(_blanks, tokens, tokens[1:])))


def size_or_none(text: str | None) -> Size | None:
    """Return the size of a text; None if there is none, or if it is no program."""
    try:
        return size(text) if text is not None else None
    except SyntaxError:
        return None


def literal_bytes(text: str) -> int:
    """Return the bytes of a program's strings, numbers, and different names: a table of data is made of these.

    Raises SyntaxError.
    """
    with only_syntax_errors():
        tokens = list(_code(without_prose(text)))
    numbers = sum(len(token.string) for token in tokens if token.type == tokenize.NUMBER)
    names = {token.string for token in tokens if token.type == tokenize.NAME}
    return size(text).text + numbers + sum(len(name.encode()) for name in names)


def compressed_bytes(text: str) -> int:
    """Return the size of a program's code when it is compressed, an upper bound of the data in it.

    Raises SyntaxError.
    """
    return len(zlib.compress(without_prose(text).encode(errors="replace"), 9))


@dataclass(frozen=True)
class DataLimit:
    """The most bytes of literals that a version may hold, and of code when it is compressed."""

    literals: int
    code: int


def data_limit(base: str) -> DataLimit:
    """Return the limit of a version that follows from `base`. Raises SyntaxError."""
    literals = max(MAX_LITERAL_BYTES, literal_bytes(base) + LITERAL_ALLOWANCE)
    return DataLimit(literals, compressed_bytes(base) + CODE_ALLOWANCE)


def data_violation(text: str, limit: DataLimit) -> str | None:
    """Return that a text holds more data than it may, in words; None if it does not, or is no program."""
    try:
        literals, code = literal_bytes(text), compressed_bytes(text)
    except SyntaxError:
        return None
    if literals > limit.literals:
        words = f"train.py holds {literals:,} bytes in strings, numbers and names, over the limit of {limit.literals:,}"
    elif code > limit.code:
        words = f"the code of train.py has {code:,} bytes when it is compressed, over the limit of {limit.code:,}"
    else:
        return None
    return f"{words}: compute from trial.rows what a table would hold, within the clock"


def _code(text: str) -> Iterator[tokenize.TokenInfo]:
    """Yield the tokens of statements, except of those that are only an empty string."""
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _NO_CODE:
            statement.append(token)
        elif token.type in (tokenize.NEWLINE, tokenize.ENDMARKER):
            yield from statement if [each.string for each in statement] != [EMPTY.decode()] else []
            statement = []


def _text_bytes(token: tokenize.TokenInfo) -> int:
    length = len(token.string.encode())
    if token.type in STRINGS:
        return length
    return max(0, length - MAX_WORD_BYTES) if token.type in _WORDS else 0


def _blanks(token: tokenize.TokenInfo, following: tokenize.TokenInfo) -> int:
    """Return the number of blanks between two tokens of a line beyond the first: they can hold text, too."""
    (line, end), (next_line, start) = token.end, following.start
    return max(0, start - end - 1) if line == next_line else 0
