"""Check a proposed train.py without running it."""

import ast
import sys
from collections.abc import Iterator

from autoresearch.source.parsing import explain, parse, unconditional_imports

ALLOWED_IMPORTS = {"torch", "numpy"} | sys.stdlib_module_names
ARGUMENTS = {"train": 1, "load": 3}  # functions that train.py must have, and the number of arguments in their calls


def complaint(text: str) -> str | None:
    """Return the first visible reason why the text cannot be measured, in one line; None if there is none."""
    try:
        tree = parse(text)
    except SyntaxError as error:
        return f"train.py does not parse: {explain(error)}"
    return next((found for name in ARGUMENTS if (found := _check_function(tree, name))), None) or _check_imports(tree)


def _check_function(tree: ast.Module, name: str) -> str | None:
    functions = [node for node in _outer_nodes(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    if not functions:
        bound = any(isinstance(node, ast.Name) and node.id == name for node in _outer_nodes(tree))
        return None if bound else f"train.py has no function `{name}`"
    count = ARGUMENTS[name]
    arguments = functions[-1].args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    if positional - len(arguments.defaults) > count or (positional < count and not arguments.vararg):
        return f"`{name}` has to take {count} argument{'s' if count > 1 else ''}"
    return None


def _outer_nodes(node: ast.AST) -> Iterator[ast.AST]:
    """Yield functions, classes, and everything outside of them."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield from _outer_nodes(child)


def _check_imports(tree: ast.Module) -> str | None:
    for name in unconditional_imports(tree):
        if name.split(".")[0] not in ALLOWED_IMPORTS:
            return f"train.py imports `{name}`: only torch, numpy and the standard library are there"
    return None
