"""Numbers that a program prints: in its output, or as far as its source shows."""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from autoresearch.setup.triplet import Goal, Number

LOWER = {
    *("loss", "error", "err", "mse", "rmse", "mae", "nll", "bpb", "bpc", "perplexity", "ppl", "wer", "cer", "regret"),
    *("seconds", "secs", "sec", "time", "elapsed", "ms", "us", "ns", "latency", "cost", "size", "bytes", "kb", "mb"),
}
HIGHER = {
    *("acc", "accuracy", "score", "auc", "auroc", "f1", "r2", "reward", "return", "fitness", "precision", "recall"),
    *("throughput", "speedup", "gflops", "tflops", "bleu", "rouge", "iou", "map", "passed", "solved", "wins", "ratio"),
}
RATES = re.compile(r"per_?s(ec(ond)?)?$|(tok|it|ops|op)s?_?/?_?s$")
FINAL = {"val", "valid", "validation", "test", "final", "best", "total", "mean", "avg", "combined", "primary"}
VALUE = r"([-+\w.]+)"
_PAIR = re.compile(
    r"(?:(?<=\s)|^|(?<=[,;(|]))([A-Za-z][\w/%-]{0,38})\s*[:=]\s*([-+]?(?:\d|\.\d)[\d.]*(?:[eE][-+]?\d+)?)"
)
_LINE = re.compile(r"^\s*([A-Za-z][\w /()%.-]{0,38}?)\s*[:=]\s*([-+]?(?:\d|\.\d)[\d.]*(?:[eE][-+]?\d+)?)")
_BARE = r"^\s*([-+]?(?:\d|\.\d)[\d.]*(?:[eE][-+]?\d+)?)\s*$"
_LABEL = re.compile(r"(?:^|[\s,;(|])([A-Za-z][\w/%-]{0,38})\s*[:=]\s*$")
_TOOK = r"\b(?:took|elapsed|in)\s+(\d[\d.]*)\s*(?:s|sec|secs|seconds)\b"
MAX_JSON_DEPTH = 4


def goal_of(name: str) -> Goal | None:
    """Return which way is better by the words of a name; None if they do not say it."""
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    if RATES.search(name.lower()):
        return "max"
    for word in reversed(words):
        if word in LOWER or word in HIGHER:
            return "min" if word in LOWER else "max"
    return None


def metric_name(text: str) -> str:
    """Return a name that the settings allow."""
    return re.sub(r"\W+", "_", text).strip("_")[:40] or "score"


def line_number(label: str) -> Number:
    """Return the number that follows a label in a line."""
    start = r"(?<!\w)" if re.match(r"\w", label) else ""
    return Number(metric_name(label), goal_of(label) or "min", regex=rf"{start}{re.escape(label)}\s*[:=]\s*{VALUE}")


def json_number(path: str) -> Number:
    """Return the number at a path of a line of JSON."""
    return Number(metric_name(path.removeprefix("$.")), goal_of(path) or "min", json_path=path)


def numbers_in(output: str) -> list[Number]:
    """Return the numbers that were printed once, the likeliest metric first."""
    lines = output.splitlines()
    found = [*_json_numbers(lines), *_labelled_numbers(lines)]
    for name, pattern in (("seconds", _TOOK), ("score", _BARE)):
        if sum(bool(re.search(pattern, line)) for line in lines) == 1:
            found.append(Number(name, "min", regex=pattern))
    return sorted(found, key=_rank, reverse=True)


def _rank(number: Number) -> tuple[bool, bool]:
    words = set(number.name.lower().split("_"))
    return goal_of(number.name) is not None, bool(words & FINAL)


def _labelled_numbers(lines: Iterable[str]) -> list[Number]:
    lines = [line for line in lines if not line.startswith("{")]
    labels = dict.fromkeys(match[1] for line in lines for match in _matches(line))
    found = (line_number(label) for label in labels)
    return [each for each in found if sum(bool(re.search(each.regex or "", line)) for line in lines) == 1]


def _matches(line: str) -> Iterator[re.Match[str]]:
    if match := _LINE.match(line):
        yield match
    yield from _PAIR.finditer(line)


def _json_numbers(lines: Iterable[str]) -> list[Number]:
    paths = Counter[str]()
    for line in lines:
        if line.startswith("{"):
            try:
                paths.update(_leaves(json.loads(line), "$"))
            except (ValueError, RecursionError):
                continue
    return [json_number(path) for path, count in paths.items() if count == 1]


def _leaves(value: object, path: str, depth: int = 0) -> Iterator[str]:
    """Yield the paths of numbers in an object."""
    if isinstance(value, dict) and depth < MAX_JSON_DEPTH:
        for key, each in value.items():
            if re.fullmatch(r"\w+", str(key)):
                yield from _leaves(each, f"{path}.{key}", depth + 1)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path


def numbers_of_source(text: str) -> list[Number]:
    """Return the metrics that a Python program seems to print once, the likeliest first."""
    try:
        calls = [node for node in _outside_loops(ast.parse(text)) if isinstance(node, ast.Call)]
    except (SyntaxError, ValueError, RecursionError):
        return []
    found = [number for call in calls if _is_named(call, "print") for number in _printed(call)]
    counts = Counter(number.name for number in found)
    once = [number for number in found if counts[number.name] == 1 and goal_of(number.name) is not None]
    return sorted(once, key=_rank, reverse=True)


def _outside_loops(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        yield node
        if not isinstance(node, ast.For | ast.While | ast.AsyncFor):
            yield from _outside_loops(node)


def _is_named(call: ast.Call, name: str) -> bool:
    return (isinstance(call.func, ast.Name) and call.func.id == name) or (
        isinstance(call.func, ast.Attribute) and call.func.attr == name
    )


def _printed(call: ast.Call) -> Iterator[Number]:
    """Yield the numbers of a call of print: f-strings, a label and a value, or json.dumps of a dictionary."""
    first = call.args[0] if call.args else None
    if isinstance(first, ast.JoinedStr):
        yield from _formatted(first)
    elif isinstance(first, ast.Constant) and len(call.args) == 2 and (match := _LABEL.search(str(first.value))):
        yield line_number(match[1])
    elif isinstance(first, ast.Call) and _is_named(first, "dumps") and first.args:
        keys = first.args[0].keys if isinstance(first.args[0], ast.Dict) else []
        names = [str(key.value) for key in keys if isinstance(key, ast.Constant)]
        yield from (json_number(f"$.{name}") for name in names if re.fullmatch(r"\w+", name))


def _formatted(text: ast.JoinedStr) -> Iterator[Number]:
    for before, value in zip(text.values, text.values[1:], strict=False):
        text_before = str(before.value) if isinstance(before, ast.Constant) else ""
        if isinstance(value, ast.FormattedValue) and (match := _LABEL.search(text_before)):
            yield line_number(match[1])
