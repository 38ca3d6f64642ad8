"""A session that version 0.1.0 began, and that was killed in the middle of a trial.

It is read as it was. Its evaluator is an older one: it is not measured any further, and its best version starts a new
session. Apart from that, what an older version left goes on: its ledger is migrated, its artefacts are read.

What that version left, and what it said of it, is in tests/fixtures/session-0.1 (make.py there tells how it was made).
"""

import json
import math
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from autoresearch.hardware import EVALUATOR

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "session-0.1"
EXPECTED = sorted((FIXTURE / "expected").glob("*.json"))
UNDER_WAY = 6  # the experiment that was killed in its re-run
LAST = 7  # the one after it, which nobody had proposed yet
BEST = 1  # its incumbent: the only keep that was settled
HERE = ("evaluator", "gpu", "driver", "cpu", "torch", "numpy")  # of the identity, what is different here
MEASURING = ("run --tag t", "total", "ablate", "reproduce 1", "revert 1", "export --checkpoint best.st", "sample")


def git(root: Path, *command: str) -> str:
    return subprocess.run(["git", *command], cwd=root, check=True, capture_output=True, text=True).stdout


def restored(folder: Path) -> Path:
    """Put back what version 0.1.0 left, to the byte; returns the repository."""
    repository = folder / "repository"
    git(folder, "init", "-q", "-b", "main", "repository")
    git(repository, "fetch", "-q", "--update-head-ok", str(FIXTURE / "repository.bundle"), "refs/*:refs/*")
    git(repository, "reset", "-q", "--hard")
    for name, target in (("artefacts", repository / "runs"), ("script", folder)):
        with zipfile.ZipFile(FIXTURE / f"{name}.zip") as archive:
            archive.extractall(target)
    with closing(sqlite3.connect(ledger_of(repository))) as ledger:
        ledger.executescript((FIXTURE / "ledger.sql").read_text())
    return repository


def ledger_of(repository: Path) -> Path:
    return repository / "runs" / "ledger.db"


def change(repository: Path, sql: str, *values: object) -> None:
    """Edit the ledger by hand."""
    with closing(sqlite3.connect(ledger_of(repository))) as ledger, ledger:
        ledger.execute(sql, values)


def rows(repository: Path, table: str) -> dict[int, dict[str, Any]]:
    """Every row of a table of the ledger, by its id."""
    with closing(sqlite3.connect(ledger_of(repository))) as ledger:
        ledger.row_factory = sqlite3.Row
        found = [dict(row) for row in ledger.execute(f"SELECT * FROM {table} ORDER BY id")]
    for row in found:
        row.pop("num_params", None)  # a migration counts them anew, by the checkpoint
    return {row["id"]: row for row in found}


def references(repository: Path) -> dict[str, str]:
    """Every reference of the repository, with its commit."""
    lines = git(repository, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return {name: sha for name, _, sha in (line.partition(" ") for line in lines)}


def files(repository: Path) -> dict[str, bytes]:
    """The content of every file of the settled experiments."""
    runs = repository / "runs" / "t"
    found = [path for n in range(UNDER_WAY) for path in sorted((runs / str(n)).iterdir())]
    return {str(path.relative_to(runs)): path.read_bytes() for path in found}


def program(repository: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program as its user does."""
    command = [sys.executable, "-m", "autoresearch", *arguments]
    return subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, timeout=280)


def said(repository: Path, env: dict[str, str], *arguments: str) -> str:
    """Return what the program prints."""
    done = program(repository, env, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def less(then: Any, now: Any, where: str = "") -> Iterator[str]:
    """Find what was told then and is not told now; more may be told, and floats may differ in their last digits."""
    if isinstance(then, dict) and isinstance(now, dict):
        for name, value in then.items():
            yield from less(value, now[name], f"{where}.{name}") if name in now else [f"{where}.{name} is gone"]
    elif isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        for k, (value, other) in enumerate(zip(then, now, strict=True)):
            yield from less(value, other, f"{where}[{k}]")
    elif isinstance(then, float) and isinstance(now, float):
        if not math.isclose(then, now, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{where}: {then} was, {now} is"
    elif then != now:
        yield f"{where}: {then!r} was, {now!r} is"


@pytest.fixture(scope="module")
def env(settings_of: dict[str, str]) -> dict[str, str]:
    """The environment in which the session was begun, less its seed and its agent: the ledger knows them."""
    return settings_of | {"TZ": "UTC"}


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as it was left, to be read only."""
    return restored(tmp_path_factory.mktemp("left"))


@pytest.fixture
def moved(tmp_path: Path, session_repository: Path) -> Path:
    """The repository as if it had been left on this machine, by a version with this evaluator and these libraries.

    The rest of the identity (device, data), the pinned settings and everything else stay as they were.
    """
    repository = restored(tmp_path)
    (then,), (here,) = (
        [row["identity"] for row in rows(at, "sessions").values()] for at in (repository, session_repository)
    )
    now = json.dumps(json.loads(then) | {name: json.loads(here)[name] for name in HERE})
    change(repository, "UPDATE sessions SET identity = ?", now)
    change(repository, "UPDATE trials SET result = replace(result, ?, ?)", then, now)
    return repository


@pytest.mark.slow
@pytest.mark.parametrize("expected", EXPECTED, ids=[path.stem for path in EXPECTED])
def test_it_is_read_as_it_was(expected: Path, left: Path, env: dict[str, str]) -> None:
    then = json.loads(expected.read_text())
    now = json.loads(said(left, env, *then["command"]))
    assert list(less(then["printed"], now)) == []


@pytest.mark.slow
def test_it_is_reported_as_it_was(left: Path, env: dict[str, str], tmp_path: Path) -> None:
    said(left, env, "report", "--out", str(tmp_path))
    assert (tmp_path / "report.md").read_text() == (FIXTURE / "expected" / "report.md").read_text()
    assert "2 fresh re-runs confirm it" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_its_keeps_are_exported(left: Path, env: dict[str, str]) -> None:
    said(left, env, "export", "--branch", "mine")
    assert git(left, "log", "--format=%s", "main..mine").startswith(f"Experiment {BEST}: ")


# --- of another evaluator


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The repository as it was left, to change."""
    return restored(tmp_path)


@pytest.mark.parametrize(
    "command", [MEASURING[0], *(pytest.param(each, marks=pytest.mark.slow) for each in MEASURING[1:])]
)
def test_it_is_not_measured_any_further(command: str, older: Path, env: dict[str, str]) -> None:
    before = {table: rows(older, table) for table in ("sessions", "experiments", "trials", "events")}
    refs = references(older)
    done = program(older, env, *command.split())
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"autoresearch: session `t` was measured by evaluator 1, and this program has evaluator {EVALUATOR}: it can be"
        " read, but not measured any further; `autoresearch run --from t` starts a new session from its best version\n"
    )
    assert all(
        list(less(list(then.values()), list(rows(older, table).values()))) == [] for table, then in before.items()
    )
    assert references(older) == refs


def test_status_says_so_and_promises_nothing_else(left: Path, env: dict[str, str]) -> None:
    status = said(left, env, "status")
    assert f"1, not {EVALUATOR} as this program has: it can only be read; `autoresearch run --from t`" in status
    assert "continues it" not in status


def test_no_note_is_taken_that_nobody_would_read(older: Path, env: dict[str, str]) -> None:
    before = rows(older, "events")
    done = program(older, env, "note", "try a longer warmdown")
    assert done.returncode == 1 and "`autoresearch run --from t` starts a new session" in done.stderr
    assert rows(older, "events") == before
    done = program(older, env, "run", "--from", "t", "--tag", "t")
    assert done.returncode == 1 and done.stderr.endswith("there is a session `t` already: choose another --tag\n")


@pytest.mark.slow
def test_its_best_version_starts_a_new_session(older: Path, env: dict[str, str], tmp_path: Path) -> None:
    before, refs = rows(older, "trials"), references(older)
    best = refs["refs/autoresearch/t/best"]
    assert refs[f"refs/autoresearch/t/{BEST}"] == best
    limits = ("--tag", "u", "--max-experiments", "1", "--agent", "scripted:../script")
    done = program(older, env, "run", "--from", "t", *limits)
    assert done.returncode == 0 and "started from t (experiment 1)" in done.stderr, done.stderr
    assert list(less(list(before.values()), list(rows(older, "trials").values())[: len(before)])) == []

    now = references(older)
    assert now.items() >= refs.items() and now["refs/autoresearch/u/0"] == best
    assert git(older, "merge-base", "--is-ancestor", best, "autoresearch/u") == ""
    status = json.loads(said(older, env, "status", "--tag", "u", "--json"))
    assert status["started_from"] == {"tag": "t", "n": BEST} and status["evaluator"] == EVALUATOR
    base = json.loads(said(older, env, "show", "0", "--tag", "u", "--json"))
    assert base["text"] == git(older, "show", f"{best}:train.py")
    assert [trial["purpose"] for trial in base["trials"]].count("base") == 3, "it is measured anew"
    for command in ("log --tag u", "show 0 --tag u", "status --tag u"):
        assert "started from t (experiment 1)" in " ".join(said(older, env, *command.split()).split()), command
    said(older, env, "report", "--tag", "u", "--out", str(tmp_path / "report"))
    assert "It started from t (experiment 1)." in (tmp_path / "report" / "report.md").read_text()
    assert json.loads(said(older, env, "doctor", "--ledger", "--json")) == []


# --- of this evaluator, left by an older version


@pytest.mark.slow
def test_it_goes_on(moved: Path, env: dict[str, str]) -> None:
    before = {table: rows(moved, table) for table in ("sessions", "spans", "experiments", "trials", "events")}
    refs, artefacts, table = references(moved), files(moved), (moved / "runs/t/results.tsv").read_text()
    said(moved, env, "run", "--tag", "t", "--max-experiments", str(LAST))
    after = {name: rows(moved, name) for name in before}

    verdicts = [(row["n"], row["state"], row["verdict"]) for row in after["experiments"].values()]
    assert verdicts[UNDER_WAY:] == [(UNDER_WAY, "settled", "keep"), (LAST, "settled", "discard")]
    for id, row in before["experiments"].items():
        assert row["n"] == UNDER_WAY or list(less(row, after["experiments"][id])) == []
    check_session(before["sessions"][1], after["sessions"][1])
    check_trials(before["trials"], after["trials"])
    for name in ("spans", "events"):
        assert list(less(list(before[name].values()), list(after[name].values())[: len(before[name])])) == []

    check_references(moved, refs)
    assert files(moved).items() >= artefacts.items()
    assert (moved / "runs/t/results.tsv").read_text().startswith(table)
    assert json.loads(said(moved, env, "doctor", "--ledger", "--json")) == []
    status = json.loads(said(moved, env, "status", "--json"))
    assert (status["experiments"], status["kept"], status["best"], status["lost"]) == (LAST, 2, UNDER_WAY, 1)


def check_session(before: dict[str, Any], after: dict[str, Any]) -> None:
    """It is the same session, and it came to its end."""
    pinned = ("tag", "branch", "base_sha", "agent", "judge", "seed", "settings", "identity", "created", "started")
    assert [after[name] for name in pinned] == [before[name] for name in pinned]
    assert (after["state"], after["stop_reason"]) == ("ended", "max experiments")


def check_trials(before: dict[int, dict[str, Any]], after: dict[int, dict[str, Any]]) -> None:
    """Check that completed trials are unchanged, and that the killed one was repeated with its seed."""
    *ended, killed = before.values()
    assert killed["outcome"] is None
    assert list(less(ended, [after[row["id"]] for row in ended])) == []
    lost = after[killed["id"]]
    assert (lost["outcome"], lost["ended"]) == ("infra", None)
    again = next(row for id, row in after.items() if id > killed["id"])
    same = ("experiment_id", "purpose", "seed", "blob")
    assert [again[name] for name in same] == [killed[name] for name in same] and again["outcome"] == "ok"


def check_references(repository: Path, before: dict[str, str]) -> None:
    """Check that old references are unchanged, and that `best` and the branch are at the new keep."""
    after, own = references(repository), "refs/autoresearch/t"
    kept = after[f"{own}/{UNDER_WAY}"]
    moving = {f"{own}/{UNDER_WAY}", f"{own}/best", f"{own}/branch", "refs/heads/autoresearch/t"}
    assert after == before | dict.fromkeys(moving, kept) | {f"{own}/{LAST}": after[f"{own}/{LAST}"]}
    assert [git(repository, "rev-parse", f"{after[f'{own}/{n}']}^").strip() for n in (UNDER_WAY, LAST)] == [
        before[f"{own}/best"],
        kept,
    ]
    trees = [git(repository, "rev-parse", f"{sha}^{{tree}}") for sha in (before[f"{own}/{UNDER_WAY}"], kept)]
    assert trees[0] == trees[1]
    assert git(repository, "status", "--porcelain") == ""


@pytest.mark.slow
def test_its_ledger_is_read_on_from_git_and_artefacts(moved: Path, env: dict[str, str]) -> None:
    experiments = rows(moved, "experiments")
    known = 2  # the last experiment of which the ledger, an older copy of itself, knows
    (identity,) = [json.loads(row["identity"]) for row in rows(moved, "sessions").values()]
    for path in (moved / "runs/t").glob("*/trial-*.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"identity": identity}, indent=1))
    change(moved, "DELETE FROM trials WHERE experiment_id IN (SELECT id FROM experiments WHERE n > ?)", known)
    for table in ("experiments", "events"):
        change(moved, f"DELETE FROM {table} WHERE n > ?", known)

    said(moved, env, "run", "--tag", "t", "--max-experiments", str(UNDER_WAY))
    again = rows(moved, "experiments")
    for id, row in experiments.items():
        assert row["n"] == UNDER_WAY or list(less(row, again[id])) == []
    (last,) = [row for row in again.values() if row["n"] >= UNDER_WAY]
    assert (last["state"], last["verdict"], last["blob"]) == ("settled", "keep", experiments[UNDER_WAY + 1]["blob"])
    assert json.loads(said(moved, env, "doctor", "--ledger", "--json")) == []
