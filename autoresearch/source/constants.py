"""Questions about the text of train.py, answered from its syntax tree; nothing here runs it.

Every function takes the text as it is and raises `SyntaxError` if Python cannot read it.
"""

import ast
import hashlib
import math
import operator
import re
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from autoresearch.source.seeds import called, without_seeds

Number = int | float


_PARSING = threading.Lock()  # CPython 3.11 now and then raises SystemError where two threads call ast.parse

_ARITHMETIC: dict[type[ast.operator], Callable[[Number, Number], Number]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}


@dataclass(frozen=True)
class Constant:
    """A module-level `NAME = number`: its value, its place in the text (UTF-8 bytes) and its spelling."""

    name: str
    value: Number
    line: int
    start: int
    end: int
    spelling: str

    def spell(self, value: Number) -> str:
        """Another value as `with_constants` writes it."""
        if isinstance(value, float) or isinstance(self.value, float):
            return _spell_float(float(value), scientific="e" in self.spelling.lower())
        power = re.fullmatch(r"((?:2 *\*\*|1 *<<) *)\d+", self.spelling)
        if power and value > 0 and value.bit_count() == 1:
            return f"{power[1]}{value.bit_length() - 1}"
        return f"{value:_}" if "_" in self.spelling else str(value)


# ---------------------------------------------------------------------------
# Constants


def constants(text: str) -> list[Constant]:
    """The constants of the program that a number search may move, in order.

    One is a module-level `UPPER_CASE = literal` whose name is bound only there. Literals are numbers and
    arithmetic on numbers (2**17, 64 * 1024, -1.0); True and False are not.
    """
    with _one_kind_of_error():
        tree = _parse(text)
        raw = text.encode()
    starts = [0, *(match.end() for match in re.finditer(rb"\r\n|\r|\n", raw))]
    bound = Counter(_bound_names(tree))
    found = []
    for name, statement in _assignments(tree):
        node = statement.value
        value = _literal(node) if node is not None else None
        if node is not None and value is not None and name.isupper() and bound[name] == 1:
            assert node.end_lineno is not None and node.end_col_offset is not None
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            found.append(Constant(name, value, node.lineno, start, end, raw[start:end].decode()))
    return found


def with_constants(text: str, values: Mapping[str, Number]) -> str:
    """The text with new values for some of its constants; every other byte stays.

    A value is spelled as the old one was: a power of two stays one (2**17 -> 2**18), a float never turns into
    an int and gets 4 significant digits (just below 1: of its distance to 1). Raises `KeyError` for a name
    that is not in `constants(text)`, ValueError for infinity and not-a-number.
    """
    known = {constant.name: constant for constant in constants(text)}
    if missing := sorted(values.keys() - known.keys()):
        raise KeyError(f"no constant called {', '.join(missing)}")
    raw = text.encode()
    for constant in sorted((known[name] for name in values), key=lambda c: c.start, reverse=True):
        spelling = constant.spell(values[constant.name])
        raw = raw[: constant.start] + spelling.encode() + raw[constant.end :]
    return raw.decode()


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.Assign | ast.AnnAssign]]:
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node


def _bound_names(node: ast.AST) -> Iterator[str]:
    """Names bound in the module's own scope, once for each place; in functions only `global` lines count."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from (name for n in ast.walk(child) if isinstance(n, ast.Global) for name in n.names)
            continue
        if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
            yield child.id
        yield from _bound_names(child)


def _literal(node: ast.expr) -> Number | None:
    """The finite number that a literal stands for, or None; big powers and shifts are not computed."""
    try:
        value = _evaluate(node)
    except (ArithmeticError, ValueError, TypeError):
        return None
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def _evaluate(node: ast.expr) -> Number:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value  # type: ignore[return-value]
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        value = _evaluate(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        left, right = _evaluate(node.left), _evaluate(node.right)
        if isinstance(node.op, (ast.Pow, ast.LShift)) and max(abs(left), 4 * abs(right)) > 256:
            raise ValueError("too big to compute")
        return _ARITHMETIC[type(node.op)](left, right)
    raise ValueError("not a literal")


def _spell_float(value: float, scientific: bool) -> str:
    if not math.isfinite(value):
        raise ValueError(f"{value} cannot be written as a literal")
    rest = 1 - abs(value)
    if 0 < rest < 0.1:  # 0.9995: what counts is the distance to 1
        return repr(round(value, 3 - math.floor(math.log10(rest))))
    short = float(f"{value:.4g}")
    if scientific and short and not 0.1 <= abs(short) < 1000:
        digits, exponent = f"{short:.3e}".split("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    return re.sub(r"e([+-])0*(\d)", r"e\1\2", repr(short))


# ---------------------------------------------------------------------------
# Fingerprints


def fingerprint(text: str) -> str:
    """Hash of what the program says: comments, layout and docstrings do not count."""
    with _one_kind_of_error():
        return _digest(_WithoutBareStrings().visit(_parse(text)))


def fingerprint_without_seed(text: str) -> str:
    """Like `fingerprint`, but equal for two programs that differ only in how random numbers are seeded."""
    with _one_kind_of_error():
        return _digest(without_seeds(_WithoutBareStrings().visit(_parse(text))))


def differs_only_in_seed(a: str, b: str) -> bool:
    """Whether two programs are different, but only in their seeds."""
    return fingerprint(a) != fingerprint(b) and fingerprint_without_seed(a) == fingerprint_without_seed(b)


def outline(text: str) -> tuple[str, list[Number]]:
    """`fingerprint_without_seed` with the values of the constants left out, and these values in order."""
    numbers = {constant.name: constant.value for constant in constants(text) if "SEED" not in constant.name}
    with _one_kind_of_error():
        tree = _WithoutBareStrings().visit(_parse(text))
        for name, statement in _assignments(tree):
            if name in numbers:
                statement.value = ast.Name("a number", ast.Load())
        return _digest(without_seeds(tree)), list(numbers.values())


def nearly(a: Sequence[Number], b: Sequence[Number], share: float) -> bool:
    """Whether numbers are pairwise equal up to a share of themselves; just below 1, of their distance to 1."""
    return len(a) == len(b) and all(_near(x, y, share) for x, y in zip(a, b, strict=True))


def _near(a: Number, b: Number, share: float) -> bool:
    close = math.isclose(a, b, rel_tol=share)
    return close and (not 0.8 <= min(a, b) < 1 or math.isclose(1 - a, 1 - b, rel_tol=share))


def uses_torch(text: str) -> bool:
    """Whether a program imports torch anywhere, also inside functions. A text that is no program does not."""
    try:
        return any(_imports_torch(node) for node in ast.walk(parse(text)))
    except SyntaxError:
        return False


def _imports_torch(node: ast.AST) -> bool:
    names: list[object] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        names = [node.module]
    elif isinstance(node, ast.Call) and called(node) in {"__import__", "import_module"}:
        names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    return any(isinstance(name, str) and name.split(".")[0] == "torch" for name in names)


@contextmanager
def _one_kind_of_error() -> Iterator[None]:
    try:
        yield
    except (RecursionError, MemoryError) as error:
        raise SyntaxError("nested too deeply") from error
    except ValueError as error:  # null bytes, lone surrogates
        raise SyntaxError(f"not a text that Python can read: {error}") from error


def parse(text: str) -> ast.Module:
    """The syntax tree; other threads may parse at the same time."""
    with _one_kind_of_error():
        return _parse(text)


def _parse(text: str) -> ast.Module:
    with _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # e.g. an invalid escape sequence: the author's business
        return ast.parse(text)


def _digest(tree: ast.AST) -> str:
    return hashlib.sha256(ast.dump(tree).encode("utf-8", "surrogatepass")).hexdigest()


class _WithoutBareStrings(ast.NodeTransformer):
    """Drops docstrings and other strings that stand alone, and the `u` of u"text"."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        if isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            return None
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(node.value)


# ---------------------------------------------------------------------------
# Differences
