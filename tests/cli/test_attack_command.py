"""`autoresearch attack`: which attacks win on a project's evaluator, and whether its word admits them."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from support.programs import autoresearch
from support.shapes import as_documented
from support.triplets import make_separate, make_triplet

from autoresearch.measure.evaluator_attacks import ATTACKS
from autoresearch.setup.evaluator_check import HOLES


def call(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Call the program with its own locks: other programs may measure on this machine."""
    return autoresearch(root, *arguments, env={**os.environ, "AUTORESEARCH_CACHE": str(root.parent / "cache")})


@pytest.mark.slow
def test_an_evaluator_in_the_process_of_the_version_admits_what_wins(tmp_path: Path) -> None:
    root = make_triplet(tmp_path / "p")
    ended = call(root, "attack", "--json")
    reports = {report["name"]: report for report in json.loads(ended.stdout)}
    assert ended.returncode == 0 and len(reports) == 10, ended.stderr
    assert as_documented("attack", list(reports.values()))
    assert reports["forged line"] == {"name": "forged line", "outcome": "wins", "is_admitted": True}
    assert reports["write to the evaluator"]["outcome"] == "stopped"
    assert reports["conftest, sitecustomize"]["outcome"] == "refused"
    assert not (root / "runs").exists()


@pytest.mark.slow
def test_a_separate_score_refuses_them(tmp_path: Path) -> None:
    ended = call(make_separate(tmp_path / "p"), "attack")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(ended.stdout.splitlines()) == 10 and " wins" not in ended.stdout


@pytest.mark.slow
def test_answers_that_are_not_private_are_a_hole_with_a_remedy(tmp_path: Path) -> None:
    root = make_separate(tmp_path / "p")
    text = (root / "autoresearch.yaml").read_text()
    (root / "autoresearch.yaml").write_text(
        text.replace("  private: [labels.json]\n", "").partition("holdout:")[0]
        + "metric:\n  name: error\n  from: {json: $.error}\n"
    )
    ended = call(root, "attack")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "reading the answers" in ended.stdout and "admitted by 'separate'" in ended.stdout
    assert "NOT admitted" not in ended.stdout  # the line on what may be believed says that no file is private
    assert "make the answers `private`" in ended.stdout


@pytest.mark.slow
def test_other_languages_are_not_attacked(tmp_path: Path) -> None:
    root = make_triplet(
        tmp_path / "p",
        (
            "edit: [settings.yaml]\nrun: {command: 'python bench.py {seed} {out}', outputs: [result.json]}\n"
            "metric: {name: error, from: {json: $.error.mean}}\n"
        ),
    )
    ended = call(root, "attack")
    assert ended.returncode == 0 and ended.stdout.startswith("not attacked"), ended.stderr


def test_the_built_in_trial_is_not_for_this(repository: Path) -> None:
    ended = call(repository, "attack")
    assert ended.returncode == 1 and "`run` and `metric`" in ended.stderr and len(ended.stderr.splitlines()) == 1


def test_each_attack_has_a_hole_and_a_remedy() -> None:
    assert set(HOLES) == {attack.name for attack in ATTACKS}
