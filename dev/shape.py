"""Count the shape of the package: `python dev/shape.py [CHECKOUT ...] [--names] [--json]`, a column for each checkout.

Everything is read from the syntax trees; nothing is imported. Imports inside functions and under TYPE_CHECKING count.
"""

import argparse
import ast
import json
import re
import statistics
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

PACKAGE = "autoresearch"
GROUND = {"errors", "text", "files", "source_tree", "config", "hardware"}  # flat modules that the contract allows
MAX_LINE_CHARS = 120
BROAD = {"Exception", "BaseException"}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLAUSE = re.compile(r"(What|Whether|How|Where|Who|Whose|Which|Those|All of|The same|Why)\b")
FUNCTION_WORDS = _words(
    """a about after all also an and another any as at before between both but by down each every few for from he here
    how i if in it its like many more most my never no nobody none not nothing of on once one only or other others our
    over she some such than that the their there these they this those three to two under up we what when where whether
    which who whom whose why with within without you your"""
)
IRREGULAR_PARTICIPLES = _words(
    """begun born bought bound broken brought built caught chosen done drawn driven fallen found frozen given gone grown
    heard held hidden kept known laid led left lent lost made meant met paid proven said seen sent shown slept sold
    spent spoken stolen stuck taken taught thought thrown told torn understood won worn woven written"""
)
BASE_FORMS = _words("bring embed exceed feed need ping proceed seed shed shred speed spring string")  # no -ing, no -ed

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = ast.Module | ast.ClassDef | Function


@dataclass(frozen=True)
class Count:
    """One row of the table: a number, and what it counts, for --names."""

    value: float
    names: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    path: Path
    name: str
    source: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.source)))

    @property
    def lines(self) -> int:
        return self.source.count("\n")

    def at(self, node: ast.AST, name: str = "") -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)} {name}".rstrip()


def read(checkout: Path, package: str) -> list[Module]:
    """Read all modules of a package. Raises SystemExit if there is none."""
    modules = []
    for file in sorted((checkout / package).rglob("*.py")):
        path = file.relative_to(checkout)
        name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
        modules.append(Module(path, name, file.read_text(encoding="utf-8")))
    if not modules:
        raise SystemExit(f"{checkout} has no package {package}")
    return modules


def shape(modules: list[Module]) -> dict[str, Count]:
    """Return every count by its name, in the order of the table."""
    parts = (_sizes, _lengths, _names, _docstrings, _types, _imports)
    return {label: count for part in parts for label, count in part(modules).items()}


def _sizes(modules: list[Module]) -> dict[str, Count]:
    flat = [m.path.stem for m in modules if len(m.path.parts) == 2 and not m.path.stem.startswith("__")]
    above = [name for name in flat if name not in GROUND]
    longest = max(modules, key=lambda module: module.lines)
    over = [where for module in modules for where in _long_lines(module)]
    return {
        "files": Count(len(modules)),
        "flat modules": Count(len(flat), flat),
        "flat modules besides the ground": Count(len(above), above),
        "lines": Count(sum(module.lines for module in modules)),
        "lines, longest file": Count(longest.lines, [str(longest.path)]),
        f"lines over {MAX_LINE_CHARS} characters": Count(len(over), over),
    }


def _long_lines(module: Module) -> Iterator[str]:
    for number, line in enumerate(module.source.splitlines(), start=1):
        if len(line) > MAX_LINE_CHARS:
            yield f"{module.path}:{number}"


def _lengths(modules: list[Module]) -> dict[str, Count]:
    functions = sorted((_length(node), m.at(node, node.name)) for m, node in _functions(modules))
    lengths = [length for length, _ in functions] or [0]
    return {
        "functions": Count(len(functions)),
        "function lines, median": Count(statistics.median(lengths)),
        "function lines, p90": Count(lengths[int(0.9 * len(lengths))]),
        "function lines, longest": Count(lengths[-1], [where for _, where in functions[-1:]]),
    }


def _names(modules: list[Module]) -> dict[str, Count]:
    files = _repeated((m.path.name, str(m.path)) for m in modules if m.path.stem != "__init__")
    classes = _repeated((n.name, m.at(n)) for m in modules for n in m.nodes if isinstance(n, ast.ClassDef))
    functions = list(_functions(modules))
    participles = [module.at(node, node.name) for module, node in functions if _is_participle(node.name)]
    return {
        "participle-named functions, %": Count(_percent(len(participles), len(functions)), participles),
        "file names that occur twice": Count(len(files), files),
        "class names that occur twice": Count(len(classes), classes),
    }


def _docstrings(modules: list[Module]) -> dict[str, Count]:
    found = [(m, n, text) for m in modules for n in m.nodes if isinstance(n, Documented) and (text := _docstring(n))]
    clauses = [m.at(n, text) for m, n, text in found if CLAUSE.match(text)]
    of_functions = [(m, n, text) for m, n, text in found if isinstance(n, Function)]
    moods = [m.at(n, text) for m, n, text in of_functions if not _is_imperative(text)]
    return {
        "docstrings": Count(len(found)),
        "docstrings that open with a clause, %": Count(_percent(len(clauses), len(found)), clauses),
        "function docstrings, not imperative, %": Count(_percent(len(moods), len(of_functions)), moods),
    }


def _types(modules: list[Module]) -> dict[str, Count]:
    broad = [m.at(n) for m in modules for n in m.nodes if isinstance(n, ast.ExceptHandler) and _is_broad(n)]
    anys = sum(_is_any(node) for module in modules for node in module.nodes)
    lines = sum(module.lines for module in modules)
    return {
        "broad excepts": Count(len(broad), broad),
        "`Any` per thousand lines": Count(round(1000 * anys / max(lines, 1), 1)),
    }


def _imports(modules: list[Module]) -> dict[str, Count]:
    found = circles(import_graph(modules))
    return {
        "import circles": Count(len(found), [" ".join(circle) for circle in found]),
        "files of the largest circle": Count(len(found[0]) if found else 1),
    }


def import_graph(modules: list[Module]) -> dict[str, set[str]]:
    """Return which modules of the package each one imports."""
    known = {module.name for module in modules}
    return {module.name: set(_imported(module, known)) - {module.name} for module in modules}


def circles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected components of more than one module, the largest first."""
    reach = {name: _reachable(name, graph) for name in graph}
    groups = {frozenset(other for other in reach[name] if name in reach[other]) for name in graph}
    return sorted((sorted(group) for group in groups if group), key=lambda group: (-len(group), group))


def _imported(module: Module, known: set[str]) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(module, node)
            for name in (f"{base}.{alias.name}" for alias in node.names):
                if name in known or base in known:
                    yield name if name in known else base  # a submodule, else a name that the module defines


def _absolute(module: Module, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parts = module.name.split(".")
    package = parts if module.path.stem == "__init__" else parts[:-1]
    return ".".join([*package[: len(package) - node.level + 1], *([node.module] if node.module else [])])


def _reachable(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = [start]
    while todo:
        new = graph[todo.pop()] - found
        found |= new
        todo += new
    return found


def _functions(modules: list[Module]) -> Iterator[tuple[Module, Function]]:
    return ((module, node) for module in modules for node in module.nodes if isinstance(node, Function))


def _length(node: Function) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _docstring(node: Documented) -> str:
    """Return the first line of a docstring."""
    return (ast.get_docstring(node) or "").split("\n")[0]


def _is_imperative(text: str) -> bool:
    """Guess from the first word: a capitalised word that is no function word, gerund, participle or plural."""
    opening = re.match(r"[A-Z][a-z]+(?![\w'`-]| of\b)", text)  # not "Length of ...", a noun
    word = opening[0].lower() if opening else "a"
    inflected = re.fullmatch(r".+(ing|[^suio]s)", word) and word not in BASE_FORMS
    return not (word in FUNCTION_WORDS or inflected or _is_participle(word))


def _is_participle(name: str) -> bool:
    word = name.strip("_")
    return word in IRREGULAR_PARTICIPLES or bool(re.fullmatch(r"[a-z]+ed", word) and word not in BASE_FORMS)


def _is_broad(handler: ast.ExceptHandler) -> bool:
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(each is None or (isinstance(each, ast.Name) and each.id in BROAD) for each in types)


def _is_any(node: ast.AST) -> bool:
    return isinstance(node, ast.Name | ast.alias) and getattr(node, "id", getattr(node, "name", "")) == "Any"


def _repeated(places: Iterable[tuple[str, str]]) -> list[str]:
    """Return a line for each name that occurs more than once, with all of its places."""
    found = defaultdict(list)
    for name, where in places:
        found[name].append(where)
    return [f"{name}: {', '.join(wheres)}" for name, wheres in sorted(found.items()) if len(wheres) > 1]


def _percent(part: int, whole: int) -> float:
    return round(100 * part / max(whole, 1), 1)


def table(columns: Mapping[str, Mapping[str, Count]]) -> str:
    """Return the counts as aligned text: a row for each count, a column for each checkout."""
    labels = list(next(iter(columns.values())))
    rows = [["", *columns]]
    rows += [[label, *(f"{counts[label].value:g}" for counts in columns.values())] for label in labels]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        row[0].ljust(widths[0]) + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def names(columns: Mapping[str, Mapping[str, Count]]) -> str:
    """Return what is behind the counts, a line for each file, class, function or docstring."""
    lines = []
    for checkout, counts in columns.items():
        for label, count in counts.items():
            lines += [f"\n{checkout}: {label}", *(f"  {name}" for name in count.names)] if count.names else []
    return "\n".join(lines)


def main() -> None:
    """Print the table, or the same as JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("checkouts", nargs="*", type=Path, default=[Path()], help="folders that hold the package")
    parser.add_argument("--package", default=PACKAGE)
    parser.add_argument("--names", action="store_true", help="list what is behind the counts")
    parser.add_argument("--json", action="store_true", dest="as_json")
    options = parser.parse_args()
    columns = {str(checkout): shape(read(checkout, options.package)) for checkout in options.checkouts}
    if options.as_json:
        rows = {
            checkout: {label: asdict(count) if options.names else count.value for label, count in counts.items()}
            for checkout, counts in columns.items()
        }
        print(json.dumps(rows, indent=1))
        return
    print(table(columns))
    if options.names:
        print(names(columns))


if __name__ == "__main__":
    main()
