"""What a train.py works with: torch, or numpy alone."""

import ast


def wants_torch(source: str) -> bool:
    """Whether a text imports torch anywhere. Raises SyntaxError, ValueError or RecursionError where it is no program."""
    for node in ast.walk(ast.parse(source)):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(name.split(".")[0] == "torch" for name in names):
            return True
    return False
