"""Parse the text of train.py, from any thread, with one kind of error, and read facts from its syntax tree."""

import ast
import threading
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from autoresearch.source.lines import BOM

MAX_CHARS = 200_000  # of a text: longer ones would take seconds, during which nothing else runs
MAX_DEPTH = 150  # of a syntax tree; the deepest module of the standard library has 33
TRIES = 5
_PARSING = threading.Lock()  # CPython 3.11 now and then raises SystemError where two threads call ast.parse


def parse(text: str) -> ast.Module:
    """Return the syntax tree of a text. Raises SyntaxError for everything that Python cannot read.

    That includes a tree of more than `MAX_DEPTH` levels: what recurses over a tree that is returned ends.
    """
    if len(text) > MAX_CHARS:
        raise SyntaxError(f"over {MAX_CHARS:,} characters")
    with only_syntax_errors(), _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as an invalid escape sequence: its author's concern
        tree = _parse_again(text.removeprefix(BOM))
    _check_depth(tree)
    return tree


def _parse_again(text: str) -> ast.Module:
    """Parse, and again where CPython 3.11 loses count of its depth, which happens now and then beside other threads."""
    for _ in range(TRIES - 1):
        with suppress(SystemError):
            return ast.parse(text)
    return ast.parse(text)


def _check_depth(tree: ast.Module) -> None:
    level: list[ast.AST] = [tree]
    for _ in range(MAX_DEPTH):
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    raise SyntaxError(f"nested too deeply: over {MAX_DEPTH} levels")


def explain(error: SyntaxError) -> str:
    """Return why a text cannot be read, with the line if there is one."""
    return error.msg if error.lineno is None else f"line {error.lineno}: {error.msg}"


@contextmanager
def only_syntax_errors() -> Iterator[None]:
    """Raise SyntaxError in place of every other error that the text of a program can cause."""
    try:
        yield
    except (RecursionError, MemoryError) as error:
        raise SyntaxError("nested too deeply") from error
    except tokenize.TokenError as error:
        raise SyntaxError(str(error.args[0])) from error
    except ValueError as error:  # null bytes, lone surrogates
        raise SyntaxError(f"not a text that Python can read: {error}") from error


def assignments(tree: ast.Module) -> Iterator[tuple[str, ast.Assign | ast.AnnAssign]]:
    """Yield the module-level assignments to a single name, with the name."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, node


def called_name(call: ast.Call) -> str | None:
    """Return the last part of the name of a called function: `manual_seed` for torch.Generator().manual_seed(3)."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr
    return call.func.id if isinstance(call.func, ast.Name) else None


def uses_torch(text: str) -> bool:
    """Return whether a program imports torch anywhere, also inside functions; False for a text that is no program."""
    try:
        return any(_imports_torch(node) for node in ast.walk(parse(text)))
    except SyntaxError:
        return False


def unconditional_imports(node: ast.AST) -> Iterator[str]:
    """Yield the modules that are imported outside of `try` statements; `.` for a relative import."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or "." if not child.level else "."
        elif not isinstance(child, ast.Try):
            yield from unconditional_imports(child)


def _imports_torch(node: ast.AST) -> bool:
    names: list[object] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        names = [node.module]
    elif isinstance(node, ast.Call) and called_name(node) in {"__import__", "import_module"}:
        names = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
    return any(isinstance(name, str) and name.split(".")[0] == "torch" for name in names)
