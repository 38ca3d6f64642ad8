"""What `init` detects in repositories, from the texts of their files."""

import json

import pytest

from autoresearch.setup.detect import RepositoryTexts, detect, find_setup
from autoresearch.setup.detect.printed_numbers import goal_of, numbers_in
from autoresearch.setup.triplet import Triplet

BENCH = """import argparse
from lib import sorting
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
for k in range(3):
    print(f"step loss: {k}")
print(f"mean error: {sorting.measure(parser.parse_args().seed):.4f}")
"""
EVALUATOR = "def evaluate(program_path):\n    return {'combined_score': 1.0}\n"
SHINKA = "from shinka.core import run_shinka_eval\ndef main(program_path, results_dir):\n    ...\n"
PROMPT = """# Sort faster
## Metrics
- **Primary**: total_us (us, lower is better)
## Files in Scope
- `src/sort.c`: the loop
- src/missing.c
## Off Limits
bench.c
"""


def first(files: dict[str, str]) -> Triplet:
    return detect(RepositoryTexts(files))[0]


def test_a_script_that_prints_a_metric_and_the_files_that_it_imports() -> None:
    files = {"bench.py": BENCH, "lib/__init__.py": "", "lib/sorting.py": "from lib import swap\n", "lib/swap.py": "1\n"}
    found = first(files | {"tests/test_sorting.py": "def test(): ...\n", "setup.py": "print('time: 3')\n"})
    assert found.edit == ("lib/sorting.py", "lib/swap.py")
    assert found.command == "python bench.py --seed {seed}"
    assert found.number is not None and (found.number.name, found.number.goal) == ("error", "min")
    assert found.guard is not None and "pytest" in found.guard


def test_a_script_without_imports_is_itself_what_changes() -> None:
    assert first({"train.py": 'print("accuracy:", 0.5)\n'}).edit == ("train.py",)


def test_a_script_in_a_folder_finds_the_modules_at_the_top() -> None:
    files = {"benchmarks/bench_sort.py": "import sorts\nprint(f'seconds: {1}')\n", "sorts.py": "x = 1\n"}
    found = first(files)
    assert found.command == "env PYTHONPATH=. python benchmarks/bench_sort.py" and found.edit == ("sorts.py",)


@pytest.mark.parametrize(
    "text",
    [
        "for k in range(9):\n    print(f'loss: {k}')\n",
        "import sys, argparse\np = argparse.ArgumentParser()\np.add_argument('data')\nprint(f'loss: {1}')\n",
        "print('hello')\n",
        "print(f'loss: {1}'\n",
    ],
)
def test_a_script_whose_number_or_arguments_are_unknown_is_none(text: str) -> None:
    assert detect(RepositoryTexts({"main.py": text})) == []


def test_a_script_of_pi_and_its_prompt() -> None:
    measure = "#!/bin/bash\necho METRIC total_us=$x\necho METRIC other=1\n"
    files = {".auto/measure.sh": measure, ".auto/prompt.md": PROMPT, "src/sort.c": "x", "bench.c": "x"}
    found = first(files | {".auto/checks.sh": "make test\n"})
    assert (found.kind, found.edit) == ("pi-autoresearch", ("src/sort.c",))
    assert found.number is not None and (found.number.name, found.number.goal) == ("total_us", "min")
    assert found.guard is not None and found.guard == "bash .auto/checks.sh"
    assert "Sort faster" in found.task


def test_the_log_of_pi_knows_the_primary_metric() -> None:
    log = json.dumps({"type": "config", "metricName": "score", "bestDirection": "higher"})
    files = {".auto/measure.sh": "echo METRIC a=1\necho METRIC score=2\n", ".auto/log.jsonl": log, "a.py": "x\n"}
    number = first(files).number
    assert number is not None and (number.name, number.goal) == ("score", "max")
    assert number.regex == r"^METRIC\s+score=(\S+)"


def test_a_project_of_openevolve_and_its_settings() -> None:
    config = "evaluator: {timeout: 90}\nprompt: {system_message: Pack circles.}\n"
    files = {"task/evaluator.py": EVALUATOR, "task/initial_program.py": "x = 1\n", "task/config.yaml": config}
    found = first(files)
    assert (found.kind, found.edit, found.timeout_s) == ("OpenEvolve", ("task/initial_program.py",), 90.0)
    assert found.command.endswith("measure_openevolve.py task/evaluator.py task/initial_program.py {seed}")
    assert found.number is not None and found.number.goal == "max" and found.task == "Pack circles."


def test_a_program_with_markers_is_what_openevolve_changes() -> None:
    marked = "# EVOLVE-BLOCK-START\n"
    files = {"README.md": marked, "evaluator.py": EVALUATOR, "solver.py": marked, "other.py": "x = 1\n"}
    assert first(files).edit == ("solver.py",)


def test_a_project_of_shinka() -> None:
    found = first({"evaluate.py": SHINKA, "initial.py": "# EVOLVE-BLOCK-START\n"})
    assert (found.kind, found.edit) == ("ShinkaEvolve", ("initial.py",))


def test_a_task_of_harbor() -> None:
    files = {"task.toml": "[verifier]\ntimeout_sec = 30.0\n", "tests/test.sh": "x", "environment/Dockerfile": "FROM x"}
    found = first(files | {"environment/solve.py": "x = 1\n", "instruction.md": "Solve it."})
    assert (found.kind, found.edit, found.timeout_s) == ("Harbor", ("environment/solve.py",), 30.0)
    assert found.task == "Solve it."


def test_a_target_of_a_makefile() -> None:
    make = "all:\n\tcc a.c\n\nbench: all\n\t./bench\n"
    found = first({"Makefile": make, "a.c": "x", "bench.c": "x", "tests/test_a.c": "x"})
    assert found.edit == ("a.c",) and found.command == "make -s bench"
    assert found.number is None


def test_a_target_that_runs_a_script_is_that_script() -> None:
    make = "score:\n\tpython tools/check.py --fast\n"
    found = first({"Makefile": make, "tools/check.py": "import m\nprint(f'score: {1}')\n", "tools/m.py": "x = 1\n"})
    assert (found.command, found.edit) == ("python tools/check.py --fast", ("tools/m.py",))


def test_tests_alone_give_their_seconds() -> None:
    found = first({"pkg/a.py": "x = 1\n", "tests/test_a.py": "def test(): ...\n"})
    assert found.edit == ("pkg/a.py",) and found.number is not None and found.number.source == {"clock": "run"}


@pytest.mark.parametrize(
    ("name", "goal"),
    [("val_loss", "min"), ("test accuracy", "max"), ("tokens_per_sec", "max"), ("p99_ms", "min"), ("count", None)],
)
def test_a_name_says_which_way_is_better(name: str, goal: str | None) -> None:
    assert goal_of(name) == goal


@pytest.mark.parametrize(
    ("output", "names"),
    [
        ("loss: 3\nloss: 2\nval_loss: 0.5\n", ["val_loss"]),
        ("epoch 1, train loss: 1\ntest error = 3.5%, time: 2s\n", ["test_error", "loss", "time"]),
        ('{"a": {"error": 1.5}, "name": "x"}\n', ["a_error"]),
        ("working\n0.125\n", ["score"]),
        ("METRIC total_us=15\n", ["METRIC_total_us", "total_us"]),
        ("", []),
    ],
)
def test_numbers_that_were_printed_once(output: str, names: list[str]) -> None:
    assert {number.name for number in numbers_in(output)} >= set(names)
    assert bool(numbers_in(output)) is bool(names)
    assert not names or numbers_in(output)[0].name == names[0]


@pytest.mark.parametrize(("name", "tool"), [("uv.lock", "uv"), ("requirements.txt", "sh"), ("docs/uv.lock", None)])
def test_a_lock_file_names_the_tool_that_installs(name: str, tool: str | None) -> None:
    assert next(iter(find_setup(RepositoryTexts({name: ""}))), None) == tool
