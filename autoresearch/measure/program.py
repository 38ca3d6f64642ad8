"""The text of train.py as a module, inside a cell."""

import ast
import gc
import importlib
import io
import linecache
import sys
from types import ModuleType


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


def run_source(source: str) -> ModuleType:
    """Execute the text of a train.py as the module `train`."""
    module = ModuleType("train")
    sys.modules["train"] = module
    # for tracebacks, and for compilers that read a function's source
    linecache.cache["train.py"] = (len(source), None, list(io.StringIO(source)), "train.py")
    gc.freeze()  # objects of torch and numpy are never freed: later collections skip them
    gc.enable()
    exec(compile(source, "train.py", "exec"), module.__dict__)
    return module
