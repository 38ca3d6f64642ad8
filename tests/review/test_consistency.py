"""Damage of every kind, planted into a real session, is found and named with what to do."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from conftest import git

from autoresearch.review import consistency


@pytest.fixture
def night(finished: Path, tmp_path: Path) -> Path:
    """A copy of it to damage."""
    return shutil.copytree(finished, tmp_path / "night")


def change(root: Path, sql: str) -> None:
    with sqlite3.connect(root / "runs" / "ledger.db") as connection:
        connection.execute(sql)
    connection.close()


def found(root: Path) -> str:
    return "\n".join(f"{each.text} -> {each.remedy}" for each in consistency.check(root))


def test_nothing_is_found_where_nothing_is_wrong(night: Path) -> None:
    assert found(night) == ""


def test_a_lost_reference_comes_with_the_command_that_brings_it_back(night: Path) -> None:
    before = git(night, "rev-parse", "refs/autoresearch/t/2")
    git(night, "update-ref", "-d", "refs/autoresearch/t/2")
    text = found(night)
    assert "refs/autoresearch/t/2 is missing" in text
    command = text.split("`")[1]
    git(night, *command.split()[1:])
    assert git(night, "rev-parse", "refs/autoresearch/t/2") == before
    assert found(night) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [("refs/autoresearch/t/2", "the ledger says"), ("refs/autoresearch/t/7", "belongs to no experiment"), ("refs/autoresearch/t/best", "not experiment 1")],
)
def test_a_reference_somewhere_else(night: Path, name: str, words: str) -> None:
    git(night, "update-ref", name, "HEAD")
    assert words in found(night)


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE trials SET val_bpb = 1.0 WHERE id = 1", "different results"),
        ("UPDATE trials SET blob = 'x' WHERE id = 1", "measured another text"),
        ("UPDATE experiments SET text = 'x' WHERE n = 1", "not the train.py of experiment 1"),
        ("UPDATE experiments SET n = 9 WHERE n = 2", "numbered [0, 1, 9]"),
        ("UPDATE experiments SET parent = 2 WHERE n = 1", "derived from 2"),
        ("UPDATE trials SET result = json_remove(result, '$.audit') WHERE experiment_id = 2", "without an audited trial"),
        ("UPDATE trials SET result = json_set(result, '$.identity.evaluator', 0) WHERE id = 2", "another evaluator"),
        ("DELETE FROM trials WHERE experiment_id = 3", "judged without a trial"),
    ],
)
def test_an_edited_ledger(night: Path, sql: str, words: str) -> None:
    change(night, sql)
    assert words in found(night)


def test_artefacts_that_are_gone_or_edited(night: Path) -> None:
    path = night / "runs/t/1/trial-0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"val_bpb": 0.5}))
    (night / "runs/t/2/trial-0.json").unlink()
    text = found(night)
    assert "trial-0.json and the ledger give different results" in text
    assert "runs/t/2/trial-0.json is missing" in text
