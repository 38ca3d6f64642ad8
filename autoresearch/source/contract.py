"""What can be said against a proposed train.py without running it."""

import ast
import sys
from collections.abc import Iterator

from autoresearch.source import constants

ALLOWED = {"torch", "numpy"}
ARGUMENTS = {"train": 1, "load": 3}  # functions that train.py must have, and how many arguments they are called with


def complaint(text: str) -> str | None:
    """The first reason why the text cannot be measured, in one line; None if there is none to be seen."""
    try:
        tree = constants.parse(text)
    except SyntaxError as error:
        return f"train.py does not parse: line {error.lineno}: {error.msg}"
    return next((found for name in ARGUMENTS if (found := _missing(tree, name))), None) or _foreign_import(tree)


def _missing(tree: ast.Module, name: str) -> str | None:
    functions = [node for node in _top(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    if not functions:
        bound = any(isinstance(node, ast.Name) and node.id == name for node in _top(tree))
        return None if bound else f"train.py has no function `{name}`"
    given = ARGUMENTS[name]
    arguments = functions[-1].args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    if positional - len(arguments.defaults) > given or (positional < given and not arguments.vararg):
        return f"`{name}` has to take {given} argument{'s' if given > 1 else ''}"
    return None


def _top(node: ast.AST) -> Iterator[ast.AST]:
    """Everything outside functions and classes, and these themselves."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _top(child)


def _foreign_import(tree: ast.Module) -> str | None:
    for name in _imports(tree):
        if name.split(".")[0] not in ALLOWED | sys.stdlib_module_names:
            return f"train.py imports `{name}`: only torch, numpy and the standard library are there"
    return None


def _imports(node: ast.AST) -> Iterator[str]:
    """Modules imported for sure, not in a `try` that can do without."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield child.module or "." if not child.level else "."
        elif not isinstance(child, ast.Try):
            yield from _imports(child)
