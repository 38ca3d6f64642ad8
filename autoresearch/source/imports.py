"""Find what a program imports."""

import ast
from collections.abc import Iterator

from autoresearch.source.parsing import called_name, parse


def uses_torch(text: str) -> bool:
    """Tell if a program imports torch anywhere, also inside functions; False for a text that is no program."""
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
