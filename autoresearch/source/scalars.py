"""Numbers of a version that a numeric search may change: constants of programs, scalars of YAML, JSON and TOML."""

import math
import re
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import accumulate, islice

import yaml

from autoresearch.source.constants import Constant, Number, constants, with_constants
from autoresearch.source.lines import split_lines
from autoresearch.source_tree import SourceTree

MAX_DATA_CHARS = 100_000  # of a file that is parsed: YAML is slow
MAX_PLACES = 5000  # of numbers in a file; more are a table, which nobody tunes
MAX_NAME_CHARS = 200
_NUMBER = re.compile(r"[-+]?(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][-+]?\d{1,3})?")
_EXPONENT = re.compile(r"(-?\d+)(\.\d+)?e(-?)(\d+)")
_TOML_SECTION = re.compile(r"\s*\[([^\[\]]+)\]\s*(?:#.*)?\s*")
_TOML_LINE = re.compile(rf"\s*([\w-]+)\s*=\s*({_NUMBER.pattern})\s*(?:#.*)?\s*")

Place = tuple[str, int, int]  # dotted name, start and end in characters


def scalars(text: str) -> list[Constant]:
    """Return the constants of train.py, or the numbers of several files, named `PATH:NAME`.

    Raises SyntaxError for a train.py that is no program.
    """
    tree = SourceTree.parse(text)
    if not tree.framed:
        return constants(text)
    return [replace(each, name=f"{path}:{each.name}") for path, each in _scalars_by_path(tree)]


def with_scalars(text: str, values: Mapping[str, Number]) -> str:
    """Return a version with new values for some of its numbers; every other byte stays. Raises as `with_constants`."""
    tree = SourceTree.parse(text)
    if not tree.framed:
        return with_constants(text, values)
    files, changes = dict(tree.files), defaultdict[str, dict[str, Number]](dict)
    places = {f"{path}:{each.name}": (path, each.name) for path, each in _scalars_by_path(tree)}
    if missing := sorted(values.keys() - places.keys()):
        raise KeyError(f"no number called {', '.join(missing)}")
    for name, value in values.items():
        path, own_name = places[name]
        changes[path][own_name] = value
    for path, own in changes.items():
        files[path] = with_constants(files[path], own) if path.endswith(".py") else _with_data(path, files[path], own)
    return SourceTree(files).text


def without_scalars(path: str, text: str) -> str:
    """Return a file of data with a mark in the place of each of its numbers."""
    for _, start, end in sorted(_places(path, text), key=lambda place: -place[1]):
        text = f"{text[:start]}\0{text[end:]}"
    return text


def _scalars_by_path(tree: SourceTree) -> Iterator[tuple[str, Constant]]:
    for path, text in sorted(tree.files.items()):
        for each in _scalars_of(path, text):
            yield path, each


def _scalars_of(path: str, text: str) -> list[Constant]:
    if not path.endswith(".py"):
        return [_constant(text, place) for place in _places(path, text)]
    try:
        return constants(text)
    except SyntaxError:
        return []


def _constant(text: str, place: Place) -> Constant:
    name, start, end = place
    spelling = text[start:end]
    value = int(spelling) if spelling.lstrip("-+").isdigit() else float(spelling)
    first, last = (len(text[:at].encode()) for at in (start, end))
    return Constant(name, value, 1 + text.count("\n", 0, start), first, last, spelling)


def _with_data(path: str, text: str, values: Mapping[str, Number]) -> str:
    for name, start, end in sorted(_places(path, text), key=lambda place: -place[1]):
        if name in values:
            spelling = _constant(text, (name, start, end)).spell(values[name])
            text = text[:start] + _EXPONENT.sub(_spell_exponent, spelling) + text[end:]
    return text


def _spell_exponent(match: re.Match[str]) -> str:
    """Spell a power of ten so that YAML 1.1 takes it for a number: with a point and the sign of the exponent."""
    return f"{match[1]}{match[2] or '.0'}e{match[3] or '+'}{match[4]}"


def _places(path: str, text: str) -> list[Place]:
    """Return the places of the finite numbers of a file of data whose names are unique; none if it cannot be read."""
    kind = path.rpartition(".")[2]
    if len(text) > MAX_DATA_CHARS or kind not in ("yaml", "yml", "json", "toml"):
        return []
    try:
        found = list(islice(_toml_places(text) if kind == "toml" else _places_in_yaml(text), MAX_PLACES + 1))
    except (yaml.YAMLError, tomllib.TOMLDecodeError, RecursionError, ValueError):
        return []
    if len(found) > MAX_PLACES:
        return []
    names = Counter(name for name, _, _ in found)
    return [place for place in found if names[place[0]] == 1 and math.isfinite(float(text[place[1] : place[2]]))]


def _places_in_yaml(text: str) -> Iterator[Place]:
    return _yaml_places(yaml.compose(text, yaml.SafeLoader), text, set())


def _yaml_places(node: yaml.Node | None, text: str, seen: set[int], prefix: str = "") -> Iterator[Place]:
    """Yield the plain numbers below a node of YAML, of which JSON is a part; of an anchor at its own place only."""
    if id(node) in seen or len(prefix) > MAX_NAME_CHARS:
        return
    seen.add(id(node))
    if isinstance(node, yaml.ScalarNode):
        start, end = node.start_mark.index, node.end_mark.index
        if node.style is None and _NUMBER.fullmatch(text[start:end]):
            yield prefix, start, end
    elif isinstance(node, yaml.SequenceNode):
        for k, each in enumerate(node.value):
            yield from _yaml_places(each, text, seen, f"{prefix}.{k}".lstrip("."))
    elif isinstance(node, yaml.MappingNode):
        for key, each in node.value:
            if isinstance(key, yaml.ScalarNode):
                yield from _yaml_places(each, text, seen, f"{prefix}.{key.value}".lstrip("."))


def _toml_places(text: str) -> Iterator[Place]:
    """Yield the numbers that stand alone in a line `key = number` and that TOML reads there."""
    values, section = tomllib.loads(text), ""
    lines = split_lines(text)
    for line, start in zip(lines, accumulate(map(len, lines), initial=0), strict=False):
        if head := _TOML_SECTION.fullmatch(line):
            section = head[1].strip()
        elif len(section) > MAX_NAME_CHARS:
            continue
        elif (match := _TOML_LINE.fullmatch(line)) and _look_up(values, section, match[1]) == float(match[2]):
            yield f"{section}.{match[1]}".lstrip("."), start + match.start(2), start + match.end(2)


def _look_up(values: object, section: str, key: str) -> object:
    for part in [*filter(None, section.split(".")), key]:
        values = values.get(part.strip()) if isinstance(values, dict) else None
    return values
