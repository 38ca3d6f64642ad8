"""Damage of every kind in a real session is reported with its remedy."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from support.repositories import git

from autoresearch.analysis import consistency


@pytest.fixture
def repository(finished: Path, tmp_path: Path) -> Path:
    """Copy the session, to damage the copy."""
    return shutil.copytree(finished, tmp_path / "copy")


def change(root: Path, sql: str) -> None:
    with sqlite3.connect(root / "runs" / "ledger.db") as connection:
        connection.execute(sql)
    connection.close()


def findings(root: Path) -> str:
    return "\n".join(f"{each.text} -> {each.remedy}" for each in consistency.check(root))


def test_nothing_is_found_where_nothing_is_wrong(repository: Path) -> None:
    assert findings(repository) == ""


def test_a_lost_reference_comes_with_the_command_that_brings_it_back(repository: Path) -> None:
    before = git(repository, "rev-parse", "refs/autoresearch/t/2")
    git(repository, "update-ref", "-d", "refs/autoresearch/t/2")
    text = findings(repository)
    assert "refs/autoresearch/t/2 is missing" in text
    command = text.split("`")[1]
    git(repository, *command.split()[1:])
    assert git(repository, "rev-parse", "refs/autoresearch/t/2") == before
    assert findings(repository) == ""


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("refs/autoresearch/t/2", "the ledger says"),
        ("refs/autoresearch/t/7", "belongs to no experiment"),
        ("refs/autoresearch/t/best", "not experiment 1"),
        ("refs/heads/autoresearch/t", "autoresearch/t is not at experiment 1"),
        ("refs/autoresearch/lost/0", "refs/autoresearch/lost/ belongs to no session"),
    ],
)
def test_a_reference_somewhere_else(repository: Path, name: str, words: str) -> None:
    git(repository, "update-ref", name, "HEAD")
    assert words in findings(repository)


def test_a_branch_that_is_checked_out_and_behind_comes_with_the_command(repository: Path) -> None:
    git(repository, "switch", "-q", "autoresearch/t")
    assert findings(repository) == ""
    git(repository, "reset", "-q", "--hard", "HEAD~")
    text = findings(repository)
    assert "is checked out and was left behind" in text
    git(repository, *text.split("`")[1].split()[1:])
    assert findings(repository) == ""


def test_a_commit_that_git_no_longer_has(repository: Path) -> None:
    git(repository, "update-ref", "-d", "refs/autoresearch/t/2")
    git(repository, "reflog", "expire", "--expire=now", "--all")
    git(repository, "gc", "-q", "--prune=now")
    text = findings(repository)
    assert "of experiment 2 is gone" in text and "`autoresearch show 2 --json` still has its text" in text


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("UPDATE trials SET val_bpb = 1.0 WHERE id = 1", "different results"),
        ("UPDATE trials SET val_bpb = NULL WHERE id = 1", "a trial of experiment 0 is ok without a score"),
        ("UPDATE trials SET blob = 'x' WHERE id = 1", "measured another text"),
        ("UPDATE experiments SET text = 'x' WHERE n = 1", "not the train.py of experiment 1"),
        ("UPDATE experiments SET blob = 'x' WHERE n = 1", "not the train.py of experiment 1"),
        ("UPDATE experiments SET sha = NULL WHERE n = 2", "experiment 2 is settled without a commit"),
        ("UPDATE experiments SET n = 9 WHERE n = 2", "numbered [0, 1, 9]"),
        ("UPDATE experiments SET parent = 2 WHERE n = 1", "derived from 2"),
        ("UPDATE experiments SET val_bpb = val_bpb - 1 WHERE n = 2", "the score of experiment 2 is not one"),
        ("UPDATE experiments SET val_bpb = val_bpb - 1e-5 WHERE n = 1", "the commit of experiment 1 and the ledger"),
        ("UPDATE experiments SET hypothesis = 'x' WHERE n = 1", "results.tsv is not what the ledger says"),
        ("UPDATE experiments SET verdict = 'keep' WHERE n = 2", "experiment 2 was kept without enough audited trials"),
        (
            "UPDATE trials SET result = json_remove(result, '$.audit') WHERE experiment_id = 2 AND purpose != 'screen'",
            "experiment 1 was kept without enough audited trials",
        ),
        ("UPDATE trials SET result = json_set(result, '$.identity.evaluator', 0) WHERE id = 2", "another evaluator"),
        ("UPDATE trials SET result = json_set(result, '$.identity.torch', '1') WHERE id = 2", "another torch"),
        ("DELETE FROM trials WHERE experiment_id = 3", "experiment 2 was judged without a score"),
        ("DELETE FROM sessions", "rows belong to sessions or experiments that are not there"),
    ],
)
def test_an_edited_ledger(repository: Path, sql: str, words: str) -> None:
    change(repository, sql)
    assert words in findings(repository)


def test_artefacts_that_are_gone_or_edited(repository: Path) -> None:
    path = repository / "runs/t/1/trial-0.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"val_bpb": 0.5}))
    gone = ["runs/t/2/trial-0.json", "runs/t/1/trial-0.log", "runs/t/1/trial-1.npz", "runs/t/1/patch.diff"]
    for name in gone:
        (repository / name).unlink()
    text = findings(repository)
    assert "trial-0.json and the ledger give different results" in text
    assert all(f"{name} is missing" in text for name in gone)


def test_an_experiment_that_is_under_way_is_no_difference(repository: Path) -> None:
    change(repository, "UPDATE experiments SET state = 'measuring', verdict = NULL, val_bpb = NULL WHERE n = 2")
    assert findings(repository) == ""


@pytest.mark.slow
def test_the_command_says_what_to_do_and_its_exit_code_tells(repository: Path, settings_of: dict[str, str]) -> None:
    def doctor(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "autoresearch", "doctor", "--ledger", *options]
        return subprocess.run(command, cwd=repository, env=settings_of, capture_output=True, text=True, timeout=280)

    done = doctor()
    assert (done.returncode, done.stdout.strip()) == (0, "ok    ledger, git and artefacts agree")
    git(repository, "update-ref", "-d", "refs/autoresearch/t/2")
    done = doctor()
    assert done.returncode == 1
    assert done.stdout.startswith("STOP  session t: refs/autoresearch/t/2 is missing\n      -> `git update-ref")
    assert set(json.loads(doctor("--json").stdout)[0]) == {"where", "text", "remedy"}
    (repository / "runs/ledger.db").write_bytes(b"no database at all" * 100)
    done = doctor()
    assert done.returncode == 1 and "is damaged" in done.stderr and "Traceback" not in done.stderr
