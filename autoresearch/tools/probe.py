"""`probe`: execute a snippet of a model on the training rows, and return what it prints."""

import ast

from autoresearch.source.parsing import parse
from autoresearch.tools.workbench import Workbench

LIMIT_S = 20.0  # of CPU time
MAX_SNIPPET_CHARS = 8_000


def probe(bench: Workbench, source: str, snippet: str, seed: int, limit_s: float = LIMIT_S) -> str:
    """Return what a snippet prints; it may import the version as `train`. Raises ToolError, SyntaxError, ValueError."""
    if not snippet.strip():
        raise ValueError("`code` is missing: `rows` holds the training rows, and what you print comes back")
    if len(snippet) > MAX_SNIPPET_CHARS:
        raise ValueError(f"`code` has {len(snippet)} characters; the most is {MAX_SNIPPET_CHARS}")
    tree = parse(snippet)  # a SyntaxError needs no cell
    task = {"snippet": snippet, "uses_train": any(map(_imports_train, ast.walk(tree)))}
    with bench.run("probe", source, seed, limit_s, task) as run:
        run.receive("result").close()
    return run.printed


def _imports_train(node: ast.AST) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    return "train" in (*names, node.module if isinstance(node, ast.ImportFrom) else None)
