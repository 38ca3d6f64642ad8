"""Programs of a repository that print a number: a script, a target of a Makefile, its tests."""

import re
from pathlib import PurePosixPath

from autoresearch.setup.detect.local_imports import imported_files, is_test, needs_top
from autoresearch.setup.detect.printed_numbers import numbers_of_source
from autoresearch.setup.detect.repository_texts import RepositoryTexts, folder_of
from autoresearch.setup.triplet import Number, Triplet

STEMS = ("bench", "benchmark", "benchmarks", "evaluate", "eval", "score", "measure", "main", "run", "train", "demo")
FOLDERS = ("", "bench", "benchmark", "benchmarks", "scripts", "src", "eval", "evaluation", "tools", "examples")
SOURCES = (".py", ".c", ".cc", ".cpp", ".rs", ".go", ".jl", ".js", ".ts")
MAX_EDITED = 12
_TARGET = re.compile(r"^(bench|benchmark|score|eval|evaluate|perf)\s*:[^=\n]*\n?((?:\t[^\n]*\n?)*)", re.MULTILINE)
_SEED = re.compile(r"""add_argument\(\s*["']--seed["']""")
_REQUIRED = re.compile(r"""add_argument\(\s*["'][a-z]|required\s*=\s*True""")
_PYTHON = re.compile(r"(?:^|\s)python[\d.]*\s+([\w./-]+\.py)\b([^\n;&|]*)")


def find_script(texts: RepositoryTexts) -> Triplet | None:
    """Find a Python program that prints a metric, and what it imports of the repository."""
    candidates = sorted(filter(_may_measure, texts.files), key=_preference)
    path = next((path for path in candidates if numbers_of_source(texts.files[path])), None)
    return None if path is None else _script(texts, path, "")


def _may_measure(path: str) -> bool:
    name = PurePosixPath(path)
    is_named = name.stem in STEMS or name.stem.startswith(("bench_", "benchmark_", "eval_"))
    return name.suffix == ".py" and folder_of(path) in FOLDERS and is_named and not is_test(path)


def _preference(path: str) -> tuple[int, int, str]:
    stem = PurePosixPath(path).stem.split("_")[0]
    return STEMS.index(stem) if stem in STEMS else len(STEMS), path.count("/"), path


def _script(texts: RepositoryTexts, path: str, arguments: str) -> Triplet | None:
    """Return the triplet of a script; None if it has arguments that nobody here knows."""
    text = texts.files[path]
    if not arguments.strip() and _REQUIRED.search(text):
        return None
    numbers, imported = numbers_of_source(text), imported_files(texts, path)
    seed = " --seed {seed}" if _SEED.search(text) and "--seed" not in arguments else ""
    start = f"env PYTHONPATH={_top(texts)} python" if needs_top(texts, path) else "python"
    named = f"{path} prints {numbers[0].name}" if numbers else f"{path}, run by the Makefile"
    return Triplet(
        kind="script",
        why=f"{named}{f' and imports {_few(imported)}' if imported else ''}",
        edit=tuple(imported) or (path,),
        command=f"{start} {path}{arguments.rstrip()}{seed}",
        number=numbers[0] if numbers else None,
        guard=_test_command(texts),
    )


def _top(texts: RepositoryTexts) -> str:
    return ".:src" if any(path.startswith("src/") for path in texts.files) else "."


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def find_make_target(texts: RepositoryTexts) -> Triplet | None:
    """Find a target of a Makefile that measures: the Python program that it runs, else the target itself."""
    text = texts.files.get("Makefile") or texts.files.get("makefile") or ""
    if (match := _TARGET.search(text)) is None:
        return None
    script = _PYTHON.search(match[2])
    if script and script[1] in texts.files and (found := _script(texts, script[1], script[2])):
        return found
    if not (sources := _sources_of_target(texts, match[2])):
        return None
    why, guard = f"the Makefile has a target {match[1]}", _test_command(texts)
    return Triplet("Makefile", why, sources, f"make -s {match[1]}", guard=guard)


def _sources_of_target(texts: RepositoryTexts, recipe: str) -> tuple[str, ...]:
    """Return program files that are neither tests nor named in the recipe as what measures."""
    found = [path for path in texts.files if path.endswith(SOURCES) and not is_test(path)]
    measuring = [path for path in found if PurePosixPath(path).stem.startswith(("bench", "eval", "score", "perf"))]
    rest = [path for path in found if path not in measuring and not path.startswith(".")]
    return tuple(sorted(rest or measuring, key=lambda path: (path not in recipe, path.count("/"), path))[:MAX_EDITED])


def _test_command(texts: RepositoryTexts) -> str | None:
    """Return the command of tests that pytest collects; None without any."""
    tests = [path for path in texts.files if is_test(path) and PurePosixPath(path).name.startswith("test_")]
    return "python -m pytest -q -p no:cacheprovider" if any(path.endswith(".py") for path in tests) else None


def find_pytest(texts: RepositoryTexts) -> Triplet | None:
    """Find tests: without another number, their seconds can be one."""
    command = _test_command(texts)
    edited = tuple(path for path in texts.files if path.endswith(".py") and texts.files[path] and not is_test(path))
    if command is None or not edited:
        return None
    number = Number("seconds", "min", clock=True)
    return Triplet("pytest", "tests that pytest runs, and no other number", edited[:MAX_EDITED], command, number)
