"""Parse the text of train.py, from any thread, with one kind of error; nothing here runs it."""

import ast
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_PARSING = threading.Lock()  # CPython 3.11 now and then raises SystemError where two threads call ast.parse


def parse(text: str) -> ast.Module:
    """Return the syntax tree of a text. Raises SyntaxError for everything that Python cannot read."""
    with only_syntax_errors(), _PARSING, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # such as an invalid escape sequence: its author's concern
        return ast.parse(text)


@contextmanager
def only_syntax_errors() -> Iterator[None]:
    """Raise SyntaxError in place of every other error that the text of a program can cause."""
    try:
        yield
    except (RecursionError, MemoryError) as error:
        raise SyntaxError("nested too deeply") from error
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
