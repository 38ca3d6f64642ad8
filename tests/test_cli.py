"""The command line: exit codes, imports, help."""

import subprocess
import sys
from pathlib import Path

import pytest


def cli(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "autoresearch", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=60)


def test_importing_the_command_line_loads_nothing_heavy(tmp_path: Path) -> None:
    code = "import autoresearch.cli, sys; print([m for m in ('torch', 'anthropic', 'optuna', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["log"], 3, "is not in a git repository"),
        (["show", "x"], 2, "Invalid value"),
        (["trial", "absent.py"], 1, "absent.py cannot be read"),
        (["nonsense"], 2, "No such command"),
    ],
)
def test_errors_are_one_line_and_an_exit_code(tmp_path: Path, arguments: list[str], code: int, words: str) -> None:
    done = cli(*arguments, cwd=tmp_path)
    assert done.returncode == code
    assert words in done.stderr and "Traceback" not in done.stderr


def test_no_session_yet(repository: Path) -> None:
    for command in ("log", "status", "show 1", "note hello"):
        done = cli(*command.split(), cwd=repository)
        assert done.returncode == 1
        assert "start one with `autoresearch run`" in done.stderr


def test_a_budget_that_cannot_be_read(repository: Path) -> None:
    done = cli("run", "--budget", "soon", cwd=repository)
    assert done.returncode == 2
    assert "5m, 300s, 15cpu or 200steps" in done.stderr
