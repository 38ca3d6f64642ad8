"""Remove comments and docstrings from a program: they are for readers, and no trial may run them."""

import ast
import functools
import io
import tokenize
from collections.abc import Iterator

from autoresearch.source.parsing import only_syntax_errors, parse

EMPTY = b'""'  # in place of a bare string: any other statement before `from __future__` would be an error

Span = tuple[int, int, int, int, bytes]  # first line and its start, last line and its end (bytes), what replaces it


@functools.lru_cache(maxsize=16)
def without_prose(text: str) -> str:
    """Return a program without comments and with empty bare strings; everything else stays on its line.

    Cells get this text. So a program cannot read or run its own prose, and prose need not count as code. Raises
    SyntaxError.
    """
    with only_syntax_errors():
        tree = parse(text)
        short = _cut(text.replace("\r\n", "\n").replace("\r", "\n"), tree)
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
    lines = [line.encode() for line in text.split("\n")]
    try:
        spans = sorted([*_comments(text), *_bare_strings(tree)], reverse=True)
    except (tokenize.TokenError, SyntaxError):
        return None
    for first, start, last, end, instead in spans:
        tail = lines[last][end:]
        more = b"\\\n" if tail.strip() else b"\n"  # a statement after the string goes on in its line
        lines[first : last + 1] = [lines[first][:start] + instead + more * (last - first) + tail]
    return b"\n".join(lines).decode()


def _comments(text: str) -> Iterator[Span]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            line, column = token.start
            start = len(token.line.split("\n")[0][:column].encode())
            yield line - 1, start, line - 1, start + len(token.string.encode()), b""


def _bare_strings(tree: ast.Module) -> Iterator[Span]:
    for node in ast.walk(tree):
        if is_bare_string(node):
            assert isinstance(node, ast.Expr) and node.end_lineno is not None and node.end_col_offset is not None
            yield node.lineno - 1, node.col_offset, node.end_lineno - 1, node.end_col_offset, EMPTY
