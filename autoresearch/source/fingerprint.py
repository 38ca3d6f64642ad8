"""Compare syntax trees of programs, without comments, layout and docstrings. Raises SyntaxError for other texts."""

import ast
import hashlib
import math
from collections.abc import Sequence

from autoresearch.source.constants import Number, constants
from autoresearch.source.parsing import assignments, only_syntax_errors, parse
from autoresearch.source.seeds import without_seeds


def fingerprint(text: str) -> str:
    with only_syntax_errors():
        return _digest(_parse_code(text))


def fingerprint_without_seed(text: str) -> str:
    """Return a hash that is equal for programs that differ only in how random numbers are seeded."""
    with only_syntax_errors():
        return _digest(without_seeds(_parse_code(text)))


def outline(text: str) -> tuple[str, list[Number]]:
    """Return `fingerprint_without_seed` of the program without the values of its constants, and these values."""
    numbers = {constant.name: constant.value for constant in constants(text) if "SEED" not in constant.name}
    with only_syntax_errors():
        tree = _parse_code(text)
        for name, statement in assignments(tree):
            if name in numbers:
                statement.value = ast.Name("a number", ast.Load())
        return _digest(without_seeds(tree)), list(numbers.values())


def are_close(a: Sequence[Number], b: Sequence[Number], share: float) -> bool:
    """Compare numbers pairwise, up to a share of their value; just below 1, of their distance to 1."""
    return len(a) == len(b) and all(_is_close(x, y, share) for x, y in zip(a, b, strict=True))


def _is_close(a: Number, b: Number, share: float) -> bool:
    close = math.isclose(a, b, rel_tol=share)
    return close and (not 0.8 <= min(a, b) < 1 or math.isclose(1 - a, 1 - b, rel_tol=share))


def _parse_code(text: str) -> ast.Module:
    return _WithoutBareStrings().visit(parse(text))  # type: ignore[no-any-return]


def _digest(tree: ast.AST) -> str:
    return hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()


class _WithoutBareStrings(ast.NodeTransformer):
    """Remove docstrings and other strings that stand alone, and the `u` of u"text"."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(node.value)
