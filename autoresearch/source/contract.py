"""Check a train.py, proposed or the base, without running it."""

import ast
import json
import site
import sys
import sysconfig
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import PathFinder

from autoresearch.errors import Blocker
from autoresearch.source.parsing import explain, parse, unconditional_imports
from autoresearch.source.script import EVALUATE, PREPARED_MODULES, PREPARED_NAMES, is_script, missing_names
from autoresearch.source.size import data_limit, data_violation
from autoresearch.source_tree import SourceTree

PRESENT = {"torch", "numpy"} | sys.stdlib_module_names
OURS = {"autoresearch", "prepare"}  # not in a cell, although this process finds them
ARGUMENTS = {"train": 1, "load": 3}  # functions that train.py must have, and the number of arguments in their calls
CONTRACT = 'it needs `train(trial)` and `load(state, config, device)` (README, "Three files")'

_READERS: dict[str, Callable[[str], object]] = {"py": parse, "json": json.loads, "toml": tomllib.loads}


def complaint(text: str, parent: str | None = None) -> str | None:
    """Return the first visible reason why a text cannot be measured, in one line; None if none is.

    It is a change to `parent`, or a base, which may hold as much data as its author likes. Of several files, only
    the syntax is checked.
    """
    if SourceTree.parse(text).framed:
        return syntax_complaint(text, parent or "")
    wrong = defect(text) or _check_kind(text, parent) or _check_imports(text, parent or "")
    return wrong if wrong or parent is None else _check_data(text, parent)


def defect(text: str, name: str = "train.py") -> str | None:
    """Return why the file `name` cannot be called as the contract says; None if it can, as far as its text shows."""
    return next(iter(defects(text, name)), None)


def defects(text: str, name: str = "train.py") -> list[str]:
    """Return all reasons why the file `name` cannot be called as the contract says."""
    try:
        tree = parse(text)
    except SyntaxError as error:
        return [f"{name} does not parse: {explain(error)}"]
    if is_script(text):
        return [_describe_missing(missing, name)] if (missing := missing_names(text)) else []
    return [found for function in ARGUMENTS if (found := _check_function(tree, function, name))]


def _describe_missing(names: Sequence[str], file: str) -> str:
    """Say that a script wants more of `prepare` than a cell has."""
    words = f"{file} imports {', '.join(names)} from prepare, which a trial's own prepare does not have"
    return f"{words}: it has {', '.join(sorted(PREPARED_NAMES))}"


def syntax_complaint(text: str, parent: str) -> str | None:
    """Return which of several files cannot be read, in one line; None if all can that could be read in `parent`."""
    before = SourceTree.parse(parent).files
    for path, each in SourceTree.parse(text).files.items():
        if (wrong := _syntax_error(path, each)) and not (path in before and _syntax_error(path, before[path])):
            return f"{path} does not parse: {wrong}"
    return None


def _syntax_error(path: str, text: str) -> str | None:
    try:
        _READERS.get(path.rpartition(".")[2], str)(text)
    except SyntaxError as error:
        return explain(error)
    except (ValueError, RecursionError) as error:  # of JSON and TOML
        return str(error)
    return None


def require_contract(text: str, name: str) -> None:
    """Raise Blocker if the file `name` cannot be measured anywhere."""
    if (wrong := defect(text, name)) is not None:
        raise Blocker(f"{wrong}: {CONTRACT}")


def _check_function(tree: ast.Module, name: str, file: str) -> str | None:
    functions = [node for node in _outer_nodes(tree) if isinstance(node, ast.FunctionDef) and node.name == name]
    if not functions:
        return None if any(_binds(node, name) for node in _outer_nodes(tree)) else f"{file} has no function `{name}`"
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


def _binds(node: ast.AST, name: str) -> bool:
    """Return whether a statement outside of functions may bind a name."""
    if isinstance(node, ast.alias):
        return name == (node.asname or node.name) or node.name == "*"
    return isinstance(node, ast.Name) and node.id == name


def _check_imports(text: str, parent: str) -> str | None:
    """Return the first module that a cell cannot find; what the parent imports is the concern of who wrote it."""
    known = _imported_packages(parent) | (PREPARED_MODULES if is_script(text) else set())
    for name in unconditional_imports(parse(text)):
        package = name.split(".")[0]
        if package not in known and not _is_installed(package):
            return f"train.py imports `{name}`, which is not installed: torch, numpy and the standard library are there"
    return None


def _check_kind(text: str, parent: str | None) -> str | None:
    """Return that a change makes a script of a program with two functions, or the reverse: they are timed otherwise."""
    if parent is None or is_script(text) is is_script(parent):
        return None
    if is_script(parent):
        return f"train.py has to stay a script that calls {EVALUATE} of prepare"
    return f"train.py may not import {EVALUATE} of prepare: {CONTRACT}"


def _check_data(text: str, parent: str) -> str | None:
    try:
        return data_violation(text, data_limit(parent))
    except SyntaxError:
        return None


def _imported_packages(text: str) -> set[str]:
    try:
        nodes = list(ast.walk(parse(text)))
    except SyntaxError:
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.split(".")[0] for name in names}


def _is_installed(package: str) -> bool:
    """Return whether a cell finds a package: it has the interpreter's folders, without $PYTHONPATH and this folder."""
    if package in PRESENT or package in OURS or not package:
        return package in PRESENT
    folders = [*site.getsitepackages(), sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return PathFinder.find_spec(package, folders) is not None
