"""`init` in repositories with a command of their own: what it asks, measures, tells, writes and leaves alone."""

import os
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from support.programs import autoresearch
from support.repositories import git
from support.terminals import terminal

from autoresearch import config
from autoresearch.sandbox import namespaces

MODEL = "SLOPE = 1.0\n\n\ndef predict(x):\n    return SLOPE * x + 0.5\n"
BENCH = """import argparse
import random
from src import model
parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=0)
seed = parser.parse_args().seed
error = sum((model.predict(x / 10) - 0.2 * x) ** 2 for x in range(20)) / 20
print(f"error: {error + NOISE * random.Random(seed).gauss(0, 1):.6f}")
"""


def make_repository(root: Path, files: dict[str, str]) -> Path:
    """Make a repository with one commit of these files."""
    root.mkdir()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "base"]):
        git(root, *command)
    return root


def call(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Call the program with its own locks: other programs may measure on this machine."""
    return autoresearch(root, *arguments, env=environment(root))


def environment(root: Path) -> dict[str, str]:
    return {**os.environ, "AUTORESEARCH_CACHE": str(root.parent / "cache")}


def bench(noise: float) -> str:
    return BENCH.replace("NOISE", str(noise))


@pytest.mark.slow
def test_a_repository_is_measured_attacked_and_committed(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "p", {"bench.py": bench(0.001), "src/model.py": MODEL, "notes.md": "mine\n"})
    (root / "notes.md").write_text("changed\n")
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "noise     sigma 0.00" in ended.stdout and "the seed decides it" in ended.stdout
    assert "one more comment ties" in ended.stdout and "src/model.py broken loses (crash)" in ended.stdout
    assert "forged line" in ended.stdout and "in-process" in ended.stdout and "80 % power" in ended.stdout
    assert "base, 5 of 5: " in ended.stderr and "WARNING" not in ended.stdout
    committed = git(root, "show", "--format=", "--name-only", "HEAD").split()
    assert sorted(committed) == ["autoresearch.yaml", "program.md", "runs/.gitignore"]
    assert git(root, "status", "--porcelain").splitlines() == [" M notes.md"]
    settings = config.load(root, {})
    assert settings.edit == ["src/model.py"] and settings.run is not None and settings.run.timeout == 60.0
    assert "src/model.py" in (root / "program.md").read_text()
    told = call(root, "run", "--agent", "sweep", "--max-experiments", "1").stderr
    assert told.index("this night can show a gain of ") < told.index("0  measured"), "init has measured the noise"


@pytest.mark.slow
def test_an_exact_number_is_told(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "p", {"bench.py": bench(0), "src/model.py": MODEL})
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0 and "noise     none: the number is exact" in ended.stdout, ended.stderr
    assert "can show any gain of error" in ended.stdout


@pytest.mark.slow
def test_an_evaluator_that_rewards_a_failure_is_told(tmp_path: Path) -> None:
    text = "try:\n    from src import model\n    error = 1.0 + model.SLOPE\nexcept SyntaxError:\n    error = 0.0\n"
    root = make_repository(tmp_path / "p", {"bench.py": f"{text}print(f'error: {{error}}')\n", "src/model.py": MODEL})
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0 and "WARNING: with src/model.py broken the number is better (0)" in ended.stdout


@pytest.mark.slow
def test_an_evaluator_that_ignores_a_file_or_reads_its_text_is_told(tmp_path: Path) -> None:
    text = "import os\nif os.environ.get('NEVER'):\n    from src import aside\n"
    files = {"bench.py": f"{text}print(f'size: {{len(open(\"src/model.py\").read())}}')\n", "src/aside.py": "x = 1\n"}
    files["bench.py"] += "if os.environ.get('NEVER'):\n    from src import model\n"
    ended = call(make_repository(tmp_path / "p", files | {"src/model.py": MODEL}), "init", "--yes")
    assert "WARNING: with src/aside.py broken the number is the same" in ended.stdout, ended.stderr
    assert "src/model.py broken loses" in ended.stdout


@pytest.mark.slow
def test_a_number_that_a_comment_moves_is_told(tmp_path: Path) -> None:
    bench = "from src import model\nprint(f'size: {len(open(model.__file__).read())}')\n"
    ended = call(make_repository(tmp_path / "p", {"bench.py": bench, "src/model.py": MODEL}), "init", "--yes")
    assert "WARNING: one more comment changes the number" in ended.stdout, ended.stderr


def test_without_a_terminal_nothing_is_taken_silently(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "p", {"bench.py": bench(0), "src/model.py": MODEL})
    ended = call(root, "init")
    assert ended.returncode == 2 and len(ended.stderr.splitlines()) == 1
    assert "src/model.py" in ended.stderr and "`autoresearch init --yes`" in ended.stderr
    assert git(root, "status", "--porcelain") == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import absent_module\nprint(f'error: {1}')\n", "crash: exit status 1"),
        ("print(f'error: {1}')\nexec('print(\"error: 2\")')\n", "printed no number once"),
    ],
)
def test_a_base_that_cannot_be_measured_leaves_everything_as_it_was(tmp_path: Path, text: str, words: str) -> None:
    root = make_repository(tmp_path / "p", {"bench.py": text})
    ended = call(root, "init", "--yes")
    assert ended.returncode == 1 and words in ended.stderr and "Traceback" not in ended.stderr
    assert git(root, "status", "--porcelain") == "" and git(root, "log", "--oneline").count("\n") == 1


def test_a_repository_that_nothing_can_measure_gets_the_built_in_trial(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "p", {"README.md": "x\n"})
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0 and (root / "train.py").exists()


@pytest.mark.slow
def test_four_questions_with_answers_of_the_users_own(tmp_path: Path) -> None:
    text = bench(0).replace("print(", "open('made.txt', 'w')\nprint(f'other: {3}')\nprint(")
    files = {"bench.py": "print(f'loss: {1}')\n", "tools/own.py": text, "src/model.py": MODEL, "src/more.py": "x = 1\n"}
    root = make_repository(tmp_path / "p", files)
    command = "env PYTHONPATH=. python tools/own.py"
    with terminal(root, "init", env=environment(root)) as shown:
        for k, answer in enumerate(("src/model.py", command, "nonsense", "error lower", f"{command} --seed 3")):
            question = f"{k + (k < 3)}/4"
            shown.until(lambda text, asked=question: re.search(rf"{asked}[^\n]*: $", text))
            shown.press(answer.encode() + b"\n")
        code, text = shown.end()
    assert code == 0 and "printed once: error, other" in text and "answer with one of error, other" in text
    settings = config.load(root, {})
    assert settings.run is not None and settings.run.command[:2] == ("sh", ".autoresearch/measure_in_copy.sh")
    assert settings.metric is not None and settings.metric.name == "error" and len(settings.guards) == 1
    assert settings.guards[0].command[1] == ".autoresearch/measure_in_copy.sh"
    assert (root / ".autoresearch/measure_in_copy.sh").exists() and git(root, "status", "--porcelain") == ""


@pytest.mark.slow
def test_a_project_of_pi_is_measured_with_its_checks(tmp_path: Path) -> None:
    measure = "#!/bin/bash\nset -e\necho x > built.txt\npython3 sort.py\necho METRIC other=1\n"
    prompt = "# Fewer steps\n- **Primary**: steps (lower is better)\n## Files in Scope\n- `sort.py`\n"
    files = {".auto/measure.sh": measure, ".auto/prompt.md": prompt, "sort.py": "print(f'METRIC steps={7}')\n"}
    root = make_repository(tmp_path / "p", files | {".auto/checks.sh": "test -e sort.py\n"})
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0 and "base      7 in 5 runs" in ended.stdout, ended.stderr
    assert [guard.command[-1] for guard in config.load(root, {}).guards] == [".auto/checks.sh"]
    assert "NOT admitted" not in ended.stdout
    assert "reported | " in ended.stdout and "runs in a copy" in ended.stdout
    assert "Fewer steps" in (root / "program.md").read_text()


@pytest.mark.slow
def test_tests_that_the_base_does_not_pass_are_no_guard(tmp_path: Path) -> None:
    files = {"bench.py": "import model\nprint(f'error: {model.X}')\n", "model.py": "X = 1\n"}
    root = make_repository(tmp_path / "p", files | {"tests/test_model.py": "def test_x():\n    assert False\n"})
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0 and "left out, for the base does not pass it: `python -m pytest" in ended.stderr
    assert not config.load(root, {}).guards


@pytest.mark.slow
def test_a_project_of_openevolve_is_measured_and_higher_is_better(tmp_path: Path) -> None:
    evaluator = "import importlib\n\n\ndef evaluate(program_path):\n    program = importlib.import_module('program')\n"
    evaluator += "    return {'combined_score': program.value()}\n"
    files = {"evaluator.py": evaluator, "program.py": "# EVOLVE-BLOCK-START\ndef value():\n    return 2.5\n"}
    root = make_repository(tmp_path / "p", files)
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0 and "combined_score, higher is better" in ended.stdout, ended.stderr
    metric = config.load(root, {}).metric
    assert metric is not None and (metric.goal, metric.kind) == ("max", "exact")
    assert git(root, "show", "--format=", "--name-only", "HEAD").split()[0] == ".autoresearch/measure_openevolve.py"
    (tmp_path / "edits").mkdir()
    patch = "--- a/program.py\n+++ b/program.py\n@@ -3 +3 @@\n-    return 2.5\n+    return 3.5\n"
    (tmp_path / "edits" / "1-more.patch").write_text(patch)
    night = call(root, "run", "--agent", f"scripted:{tmp_path / 'edits'}", "--tag", "t")
    assert night.returncode == 0 and "3.5" in git(root, "show", "autoresearch/t:program.py"), night.stderr


@pytest.mark.slow
def test_tests_without_a_number_are_timed(tmp_path: Path) -> None:
    test = "import time\nfrom pkg import wait\n\n\ndef test_it():\n    time.sleep(wait.SECONDS)\n"
    files = {"pkg/__init__.py": "", "pkg/wait.py": "SECONDS = 0.2\n", "tests/test_it.py": test}
    root = make_repository(tmp_path / "p", files | {"conftest.py": ""})
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0, ended.stderr
    metric = config.load(root, {}).metric
    assert metric is not None and (metric.source.clock, metric.kind) == ("run", "time")
    assert " %" in ended.stdout.partition("noise")[2].splitlines()[0]


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0, 0.001])
def test_a_second_call_measures_and_writes_only_the_noise(noise: float, tmp_path: Path) -> None:
    root = make_repository(tmp_path / "p", {"bench.py": bench(noise), "src/model.py": MODEL})
    call(root, "init", "--yes")
    ended = call(root, "init")
    assert ended.returncode == 0 and "belief    in-process" in ended.stdout, ended.stderr
    files = [path.name for path in (root / "runs").glob("noise-*")]
    written = f"the noise is in runs/{files[0]}, for new sessions" if noise else "nothing was written"
    assert written in ended.stdout and len(files) == (noise > 0) and not (root / "train.py").exists()
    assert git(root, "status", "--porcelain") == "" and git(root, "log", "--oneline").count("\n") == 2


@pytest.mark.slow
def test_a_package_of_the_requirements_is_installed_if_the_command_lacks_it(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "p", {"bench.py": "import lacking\nprint(f'error: {lacking.X}')\n"})
    with zipfile.ZipFile(root / "lacking-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lacking.py", "X = 4\n")
        wheel.writestr("lacking-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: lacking\nVersion: 1.0\n")
        wheel.writestr("lacking-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("lacking-1.0.dist-info/RECORD", "")
    (root / "requirements.txt").write_text("./lacking-1.0-py3-none-any.whl\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "requirements")
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0 and "base      4 in 5 runs" in ended.stdout, ended.stderr
    assert config.load(root, {}).setup[:2] == ("sh", "-c") and not (root / ".venv").exists()


MAKEFILE = """bench: program
\t./program
program: program.sh
\tcp program.sh program
\tchmod +x program
"""


@pytest.mark.slow
@pytest.mark.skipif("mnt" not in namespaces.choose(), reason="no mount namespaces here: what was built cannot be run")
def test_what_a_makefile_builds_is_run(tmp_path: Path) -> None:
    files = {"Makefile": MAKEFILE, "program.sh": "#!/bin/sh\necho error: 0.5\n", "model.c": "int main(void);\n"}
    root = make_repository(tmp_path / "p", files)
    ended = call(root, "init", "--yes")
    assert ended.returncode == 0, ended.stderr
    assert "in a copy that it can write: it runs" in ended.stderr and "base      0.5 in 5 runs" in ended.stdout
    assert "reported" in ended.stdout
    trial = call(root, "trial")
    assert trial.returncode == 0 and "error:            0.5" in trial.stdout
