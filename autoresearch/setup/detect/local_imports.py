"""Files of a repository that a Python program imports."""

import ast
import re
from collections.abc import Iterator

from autoresearch.setup.detect.repository_texts import RepositoryTexts, folder_of

MAX_IMPORTED = 12
_TEST = re.compile(r"(^|/)(tests?|testing)/|(^|/)(test_[^/]*|[^/]*_test|conftest|setup)\.py$")


def is_test(path: str) -> bool:
    return _TEST.search(path) is not None


def imported_files(texts: RepositoryTexts, script: str) -> list[str]:
    """Return the files that a program imports, directly ones first; none of them tests, at most `MAX_IMPORTED`."""
    found, queue = dict[str, None](), [script]
    while queue and len(found) < MAX_IMPORTED:
        path = queue.pop(0)
        for each in _imports(texts, path, folder_of(script)):
            if each not in found and each != script and not is_test(each):
                found[each] = None
                queue.append(each)
    return [path for path in found if texts.files[path].strip()][:MAX_IMPORTED]


def needs_top(texts: RepositoryTexts, script: str) -> bool:
    """Return whether a program in a folder imports modules that lie at the top of the repository."""
    own = set(_resolve(texts, _names(texts.files[script], ""), [folder_of(script)]))
    return bool(folder_of(script)) and bool(set(_imports(texts, script, folder_of(script))) - own)


def _imports(texts: RepositoryTexts, path: str, folder: str) -> Iterator[str]:
    package = folder_of(path).replace("/", ".")
    yield from _resolve(texts, _names(texts.files[path], package), dict.fromkeys([folder, "", "src"]))


def _resolve(texts: RepositoryTexts, names: list[str], folders: "list[str] | dict[str, None]") -> Iterator[str]:
    for name in names:
        stem = name.replace(".", "/")
        places = [f"{folder}/{stem}".removeprefix("/") for folder in folders]
        files = [file for place in places for file in (f"{place}.py", f"{place}/__init__.py") if file in texts.files]
        yield from files[:1]


def _names(text: str, package: str) -> list[str]:
    """Return the modules that a text imports, and what may be one."""
    try:
        nodes = list(ast.walk(ast.parse(text)))
    except (SyntaxError, ValueError, RecursionError):
        return []
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    for node in nodes:
        if isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level and package else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            names += [name for name in (base, *(f"{base}.{alias.name}".strip(".") for alias in node.names)) if name]
    return names
