"""Programs that `init` lays down: they call the evaluators of other projects, and never make a number up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from autoresearch.setup.glue_files import glue_file

EVALUATOR = """import importlib.util
import random
from openevolve.evaluation_result import EvaluationResult

def evaluate(program_path):
    try:
        spec = importlib.util.spec_from_file_location("program", program_path)
        program = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(program)
        value = program.value() + random.random()
    except Exception as error:
        return EvaluationResult({"combined_score": 0.0, "error": str(error)}, {})
    print("some text")
    return EvaluationResult(metrics={"combined_score": value, "other": 5.0})
"""
SHINKA = """from shinka.core import run_shinka_eval

def check(result):
    return result[0] > 0, "not above zero"

def main(program_path, results_dir):
    run_shinka_eval(
        program_path=program_path, results_dir=results_dir, experiment_fn_name="run", num_runs=2,
        get_experiment_kwargs=lambda k: {"k": k}, validate_fn=check,
        aggregate_metrics_fn=lambda results: {"combined_score": sum(r[0] for r in results), "public": {}},
    )
"""
TEST_SH = """#!/bin/bash
cd /app
python /tests/check.py && echo 1 > /logs/verifier/reward.txt || echo 0.25 > /logs/verifier/reward.txt
"""


def run_glue(folder: Path, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a program of ours in a project whose files are in a folder."""
    program = folder / "glue" / name
    program.parent.mkdir(exist_ok=True)
    program.write_text(next(iter(glue_file(name).values())))
    command = [sys.executable, str(program), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def score(ended: "subprocess.CompletedProcess[str]") -> float:
    assert ended.returncode == 0, ended.stderr
    lines = [line for line in ended.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == 1
    return float(next(iter(json.loads(lines[0]).values())))


def test_an_evaluator_of_openevolve_and_its_seed(tmp_path: Path) -> None:
    (tmp_path / "evaluator.py").write_text(EVALUATOR)
    (tmp_path / "initial_program.py").write_text("def value():\n    return 2.0\n")
    ours = ("measure_openevolve.py", "evaluator.py", "initial_program.py")
    assert 2.0 <= score(run_glue(tmp_path, *ours, "3")) == score(run_glue(tmp_path, *ours, "3")) < 3.0
    assert score(run_glue(tmp_path, *ours, "3")) != score(run_glue(tmp_path, *ours, "4"))
    (tmp_path / "initial_program.py").write_text("def value(:\n")
    broken = run_glue(tmp_path, *ours)
    assert broken.returncode == 1 and "the evaluator failed" in broken.stderr and "{" not in broken.stdout


@pytest.mark.parametrize("text", ["return {'a': 1.0, 'b': 3.0}", "return slow()"])
def test_an_evaluator_without_a_combined_score(tmp_path: Path, text: str) -> None:
    head = "async def slow():\n    return {'combined_score': 2.0}\n\n"
    (tmp_path / "evaluator.py").write_text(f"{head}def evaluate(program_path):\n    {text}\n")
    assert score(run_glue(tmp_path, "measure_openevolve.py", "evaluator.py", "p.py")) == 2.0


def test_an_evaluator_of_shinka_and_a_version_that_is_not_correct(tmp_path: Path) -> None:
    (tmp_path / "evaluate.py").write_text(SHINKA)
    (tmp_path / "initial.py").write_text("def run(k):\n    return (k + 1, 'x')\n")
    assert score(run_glue(tmp_path, "measure_shinka.py", "evaluate.py", "initial.py", "1")) == 3.0
    (tmp_path / "initial.py").write_text("def run(k):\n    return (k, 'x')\n")
    wrong = run_glue(tmp_path, "measure_shinka.py", "evaluate.py", "initial.py", "1")
    assert wrong.returncode == 1 and "refused it: not above zero" in wrong.stderr


def test_the_tests_of_a_task_of_harbor(tmp_path: Path) -> None:
    for name, text in {"environment/solve.py": "X = 1\n", "environment/Dockerfile": "FROM x\n"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test.sh").write_text(TEST_SH)
    (tmp_path / "tests/check.py").write_text(
        "import sys\nsys.path.insert(0, '/app')\nimport solve\nassert solve.X == 1\n"
    )
    assert score(run_glue(tmp_path, "measure_harbor.py", ".")) == 1.0
    (tmp_path / "environment/solve.py").write_text("X = 2\n")
    assert score(run_glue(tmp_path, "measure_harbor.py", ".")) == 0.25
    (tmp_path / "tests/test.sh").write_text("echo nothing\n")
    ended = run_glue(tmp_path, "measure_harbor.py", ".")
    assert ended.returncode == 1 and "left no reward" in ended.stderr


def test_a_command_that_writes_runs_in_a_copy(tmp_path: Path) -> None:
    text = next(iter(glue_file("measure_in_copy.sh").values()))
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "copy.sh").write_text(text)
    (tmp_path / "tree" / "sub").mkdir()
    (tmp_path / "tree" / "sub" / "a b.txt").write_text("7\n")
    command = ["sh", "copy.sh", "sh", "-c", 'echo "$1" >> "sub/a b.txt" && cat "sub/a b.txt"', "x", "8 9"]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for _ in range(2):
        ended = subprocess.run(command, cwd=tmp_path / "tree", env=environment, capture_output=True, text=True)
        assert ended.stdout == "7\n8 9\n", ended.stderr
    assert (tmp_path / "tree/sub/a b.txt").read_text() == "7\n"
