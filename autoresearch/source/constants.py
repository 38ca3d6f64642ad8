"""Find and change the numeric constants of train.py."""

import ast
import math
import operator
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate

from autoresearch.source.lines import BOM, split_lines
from autoresearch.source.parsing import assignments, parse

Number = int | float

MAX_BITS = 1000  # of a whole number, also of one inside an expression
MAX_SPELLING_CHARS = 100  # of an expression that is a constant

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
        """Return another value as `with_constants` writes it."""
        if isinstance(value, float) or isinstance(self.value, float):
            return _spell_float(float(value), scientific="e" in self.spelling.lower())
        power = re.fullmatch(r"((?:2 *\*\*|1 *<<) *)\d+", self.spelling)
        if power and value > 0 and value.bit_count() == 1:
            return f"{power[1]}{value.bit_length() - 1}"
        return f"{value:_}" if "_" in self.spelling else str(value)


def constants(text: str) -> list[Constant]:
    """Return the constants that a numeric search may change, in order. Raises SyntaxError.

    A constant is a module-level `UPPER_CASE = literal` whose name is bound only there. Literals are numbers and
    arithmetic on numbers (2**17, 64 * 1024, -1.0); True and False are not.
    """
    tree, raw = parse(text), text.encode()
    starts = list(accumulate((len(line.encode()) for line in split_lines(text)), initial=0))
    starts[0] = len(BOM.encode()) if text.startswith(BOM) else 0  # Python counts from behind it
    bound = Counter(_bound_names(tree))
    found = []
    for name, statement in assignments(tree):
        node = statement.value
        value = _literal(node) if node is not None else None
        if node is not None and value is not None and name.isupper() and bound[name] == 1:
            assert node.end_lineno is not None and node.end_col_offset is not None
            start = starts[node.lineno - 1] + node.col_offset
            end = starts[node.end_lineno - 1] + node.end_col_offset
            if end - start <= MAX_SPELLING_CHARS:
                found.append(Constant(name, value, node.lineno, start, end, raw[start:end].decode()))
    return found


def with_constants(text: str, values: Mapping[str, Number]) -> str:
    """Return the text with new values for some of its constants; every other byte stays.

    A value is spelled as the old one was: a power of two stays one (2**17 -> 2**18), a float never becomes an int and
    gets 4 significant digits (just below 1: of its distance to 1). Raises KeyError for a name that is not in
    `constants(text)`, ValueError for infinity and not-a-number, SyntaxError.
    """
    by_name = {constant.name: constant for constant in constants(text)}
    if missing := sorted(values.keys() - by_name.keys()):
        raise KeyError(f"no constant called {', '.join(missing)}")
    raw = text.encode()
    for constant in sorted((by_name[name] for name in values), key=lambda c: c.start, reverse=True):
        spelling = constant.spell(values[constant.name])
        raw = raw[: constant.start] + spelling.encode() + raw[constant.end :]
    return raw.decode()


def _bound_names(node: ast.AST) -> Iterator[str]:
    """Yield a name for each place that binds it in the module's scope; in functions only `global` lines count."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            yield from (name for n in ast.walk(child) if isinstance(n, ast.Global) for name in n.names)
            continue
        if isinstance(child, ast.Name) and not isinstance(child.ctx, ast.Load):
            yield child.id
        yield from _bound_names(child)


def _literal(node: ast.expr) -> Number | None:
    """Return the finite number that an expression stands for, or None; large ones are not computed."""
    try:
        return _evaluate(node)
    except (ArithmeticError, ValueError, TypeError):
        return None


def _evaluate(node: ast.expr) -> Number:
    """Evaluate an expression, each part of it within bounds. Raises ArithmeticError, ValueError, TypeError."""
    value = _evaluate_unbounded(node)
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        raise ValueError("too big to compute with")
    if not isinstance(value, (int, float)) or not math.isfinite(value):  # a power can be complex
        raise ValueError("not a finite number")
    return value


def _evaluate_unbounded(node: ast.expr) -> Number:
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
