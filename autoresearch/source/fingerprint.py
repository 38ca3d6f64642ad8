"""Compare programs by their syntax trees, without comments, layout and docstrings; other files as they are.

For a train.py that is no program, SyntaxError is raised.
"""

import ast
import hashlib
import math
from collections.abc import Callable, Sequence
from contextlib import suppress

from autoresearch.source.constants import Number, constants
from autoresearch.source.parsing import assignments, only_syntax_errors, parse
from autoresearch.source.scalars import scalars, without_scalars
from autoresearch.source.seeds import without_seeds
from autoresearch.source_tree import SourceTree


def fingerprint(text: str) -> str:
    return _digest_files(text, lambda each: _digest(_parse_code(each)))


def fingerprint_without_seed(text: str) -> str:
    """Return a hash that is equal for programs that differ only in how random numbers are seeded."""
    return _digest_files(text, lambda each: _digest(without_seeds(_parse_code(each))))


def _digest_files(text: str, digest: Callable[[str], str]) -> str:
    """Return the digest of train.py, or a hash of those of several files: other texts than programs as they are."""
    tree = SourceTree.parse(text)
    if not tree.framed:
        with only_syntax_errors():
            return digest(text)
    return _hash(repr([(path, _digest_file(path, each, digest)) for path, each in sorted(tree.files.items())]))


def _digest_file(path: str, text: str, digest: Callable[[str], str]) -> str:
    with suppress(SyntaxError), only_syntax_errors():
        if path.endswith(".py"):
            return digest(text)
    return _hash(text)


def outline(text: str) -> tuple[str, list[Number]]:
    """Return `fingerprint_without_seed` of a version without the values of its constants, and these values."""
    numbers = [scalar.value for scalar in scalars(text) if "SEED" not in scalar.name.upper()]
    tree = SourceTree.parse(text)
    if not tree.framed:
        return _outline_program(text), numbers
    parts = [(path, _outline_file(path, each)) for path, each in sorted(tree.files.items())]
    return _hash(repr(parts)), numbers


def _outline_file(path: str, text: str) -> str:
    with suppress(SyntaxError):
        if path.endswith(".py"):
            return _outline_program(text)
    return _hash(without_scalars(path, text))


def _outline_program(text: str) -> str:
    names = {constant.name for constant in constants(text) if "SEED" not in constant.name}
    with only_syntax_errors():
        tree = _parse_code(text)
        for name, statement in assignments(tree):
            if name in names:
                statement.value = ast.Name("a number", ast.Load())
        return _digest(without_seeds(tree))


def are_close(a: Sequence[Number], b: Sequence[Number], share: float) -> bool:
    """Compare numbers pairwise, up to a share of their value; just below 1, of their distance to 1."""
    return len(a) == len(b) and all(_is_close(x, y, share) for x, y in zip(a, b, strict=True))


def _is_close(a: Number, b: Number, share: float) -> bool:
    close = math.isclose(a, b, rel_tol=share)
    return close and (not 0.8 <= min(a, b) < 1 or math.isclose(1 - a, 1 - b, rel_tol=share))


def _parse_code(text: str) -> ast.Module:
    return _WithoutBareStrings().visit(parse(text))  # type: ignore[no-any-return]


def _digest(tree: ast.AST) -> str:
    return _hash(ast.dump(tree))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class _WithoutBareStrings(ast.NodeTransformer):
    """Remove docstrings and other strings that stand alone, and the `u` of u"text"."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(node.value)
