"""The text of train.py as a program with `train` and `load`, inside a cell."""

import ast
import gc
import importlib
import io
import linecache
import sys
from types import ModuleType
from typing import Any

from autoresearch.measure import wire


def import_torch(source: str, threads: int) -> ModuleType | None:
    """Import torch if the source does."""
    nodes = list(ast.walk(ast.parse(source)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    if all(name.split(".")[0] != "torch" for name in names):
        return None
    torch = importlib.import_module("torch")
    torch.set_num_threads(threads)
    return torch


def open_program(source: str, hello: wire.Fields, torch: ModuleType | None) -> Any:
    """Return what has the functions `train` and `load`: the module, or an adapter of a script."""
    if hello["prepare"] is None:
        return run_source(source)
    adapter = importlib.import_module("autoresearch.measure.script_program")
    return adapter.ScriptProgram(source, hello, torch, run_source)


def run_source(source: str, name: str = "train") -> ModuleType:
    """Execute the text of a train.py as a module, by default the module `train`."""
    module = ModuleType(name)
    sys.modules[name] = module
    # for tracebacks, and for compilers that read a function's source
    linecache.cache["train.py"] = (len(source), None, list(io.StringIO(source)), "train.py")
    gc.freeze()  # objects of torch and numpy are never freed: later collections skip them
    gc.enable()
    exec(compile(source, "train.py", "exec"), module.__dict__)
    return module
