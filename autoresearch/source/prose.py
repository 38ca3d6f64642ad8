"""Remove comments, docstrings and trailing blanks from a program: no trial may run what is only for readers."""

import ast
import functools
import io
import tokenize
from collections.abc import Iterator, Sequence

from autoresearch.source.lines import plain
from autoresearch.source.parsing import only_syntax_errors, parse

EMPTY = b'""'  # in place of a bare string: any other statement before `from __future__` would be an error

STRINGS = {tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}  # tokens that hold text

Span = tuple[int, int, int, int, bytes]  # first line and its start, last line and its end (bytes), what replaces it


@functools.lru_cache(maxsize=16)
def without_prose(text: str) -> str:
    """Return a program without comments and trailing blanks, with empty bare strings; all else stays on its line.

    Cells get this text. So a program cannot read or run its own prose, and prose need not count as code. Raises
    SyntaxError.
    """
    with only_syntax_errors():
        tree = parse(text)
        short = _cut(plain(text), tree)
        wanted = _EmptyBareStrings().visit(tree)
        if short is not None and _dump(short) == ast.dump(wanted):
            return short
        return ast.unparse(wanted) + "\n"  # its layout is too unusual to be kept


def is_bare_string(node: ast.AST) -> bool:
    """Return whether a node is a statement that is only a string, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


class _EmptyBareStrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        if is_bare_string(node):
            node.value = ast.Constant("")
        return self.generic_visit(node)


def _dump(text: str) -> str | None:
    try:
        return ast.dump(parse(text))
    except SyntaxError:
        return None


def _cut(text: str, tree: ast.Module) -> str | None:
    """Return the text without its prose; None if the tokenizer cannot read what the parser can."""
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return None
    spans = sorted([*_comments(tokens), *_bare_strings(tree)], reverse=True)
    lines = _without_trailing_blanks(text, tokens)
    for first, start, last, end, instead in spans:
        tail = lines[last][end:]
        more = b"\\\n" if tail.strip() else b"\n"  # a statement after the string goes on in its line
        lines[first : last + 1] = [lines[first][:start] + instead + more * (last - first) + tail]
    return b"\n".join(lines).decode()


def _without_trailing_blanks(text: str, tokens: Sequence[tokenize.TokenInfo]) -> list[bytes]:
    """Return the lines of a text; those that end within a string keep their blanks."""
    open_lines = {
        line for token in tokens if token.type in STRINGS for line in range(token.start[0] - 1, token.end[0] - 1)
    }
    return [(line if k in open_lines else line.rstrip()).encode() for k, line in enumerate(text.split("\n"))]


def _comments(tokens: Sequence[tokenize.TokenInfo]) -> Iterator[Span]:
    """Yield the comments, each with the blanks before it."""
    for token in tokens:
        if token.type == tokenize.COMMENT:
            line, column = token.start
            before = token.line.split("\n")[0][:column]
            end = len((before + token.string).encode())
            yield line - 1, len(before.rstrip().encode()), line - 1, end, b""


def _bare_strings(tree: ast.Module) -> Iterator[Span]:
    for node in ast.walk(tree):
        if is_bare_string(node):
            assert isinstance(node, ast.Expr) and node.end_lineno is not None and node.end_col_offset is not None
            yield node.lineno - 1, node.col_offset, node.end_lineno - 1, node.end_col_offset, EMPTY
