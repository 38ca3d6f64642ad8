"""Maintenance of a session: copies of the ledger, recovery, disk space, trials that were disturbed."""

import json
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.programs import autoresearch
from support.referees import FunctionReferee
from support.repositories import git
from support.sessions import context_of, session_of

from autoresearch.agents import registry
from autoresearch.analysis import consistency
from autoresearch.data.dataset import Dataset
from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, back_up, database
from autoresearch.ledger.artefacts import Artefacts
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings
from autoresearch.session.disk_quota import DiskQuota
from autoresearch.session.loop import SessionLoop
from autoresearch.session.opening import choose_tag
from autoresearch.session.recovery import Recovery
from autoresearch.workspace.workspace import Workspace


@pytest.fixture
def used(finished: Path, tmp_path: Path) -> Path:
    """A repository with a session of a keep and a discard, to damage."""
    return shutil.copytree(finished, tmp_path / "used")


@pytest.fixture
def store(used: Path) -> Iterator[Ledger]:
    with Ledger.open(used / "runs" / "ledger.db") as store:
        yield store


# --- copies


def test_the_last_few_copies_are_kept(store: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(database.backup_folder(store.path))
    for second in range(8):
        monkeypatch.setattr("time.strftime", lambda form, second=second: f"ledger-20261121-00000{second}.db")
        copy = back_up(store)
    names = sorted(path.name for path in copy.parent.iterdir())
    assert names == [f"ledger-20261121-00000{second}.db" for second in range(3, 8)]
    with Ledger.open(copy, readonly=True) as other:
        assert other.experiments(1) == store.experiments(1) and other.trials(1) == store.trials(1)


def test_a_damaged_ledger_does_not_push_a_good_copy_out(used: Path) -> None:
    path = used / "runs" / "ledger.db"
    shutil.rmtree(database.backup_folder(path))
    with Ledger.open(path) as store:
        good = back_up(store)
        store.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        page = store.connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'trials'").fetchone()[0]
        size = store.connection.execute("PRAGMA page_size").fetchone()[0]
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(os.urandom(size))
    with (
        Ledger.open(path) as store,
        pytest.raises(UserError, match=f"is damaged .* cp {good} {path}` restores the last copy"),
    ):
        back_up(store)
    assert list(good.parent.iterdir()) == [good]


@pytest.mark.slow
@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_new_ledger_is_not_begun_in_the_place_of_one_that_is_lost(
    how: str, used: Path, settings_of: dict[str, str]
) -> None:
    path = used / "runs" / "ledger.db"
    copies = sorted(database.backup_folder(path).iterdir())
    path.unlink()
    if how == "empty":
        path.touch()
    for readonly in (True, False):
        with pytest.raises(
            UserError, match=f"ledger.db is {how}: .* && cp {copies[-1]} {path}` restores the last copy"
        ):
            Ledger.open(path, readonly)
    said = autoresearch(used, "review", "1", "--accept", env=settings_of)
    assert said.returncode == 1 and f"ledger.db is {how}: " in said.stderr
    assert sorted(database.backup_folder(path).iterdir()) == copies
    shutil.rmtree(database.backup_folder(path))
    assert "goes on with that session" in autoresearch(used, "status", env=settings_of).stderr
    Ledger.open(path).close()


# --- recovery


@pytest.mark.slow
def test_a_ledger_that_is_older_than_its_session_reads_on(used: Path, settings_of: dict[str, str]) -> None:
    path = used / "runs" / "ledger.db"

    def rows(sql: str) -> list[Any]:
        with sqlite3.connect(path) as connection:
            found = connection.execute(sql).fetchall()
        connection.close()
        return found

    trials = "SELECT purpose, seed, blob, outcome, val_bpb, train_seconds, grade, result FROM trials ORDER BY id"
    experiments = (
        "SELECT n, parent, sha, blob, text, state, verdict, reason, val_bpb, delta, sigma FROM experiments ORDER BY n"
    )
    before = rows(trials), rows(experiments)
    copies = sorted((used / "runs" / "backups").iterdir())
    path.write_bytes(b"not a database" * 1000)
    said = autoresearch(used, "status", env=settings_of)
    assert said.returncode == 1 and f"cp {copies[-1]} {path}`" in said.stderr and "Traceback" not in said.stderr
    shutil.copy(copies[-1], path)
    assert rows("SELECT count(*) FROM experiments") == [(0,)]  # it was made when the session began
    script = used.with_name("script")
    script.mkdir()
    (script / "01-smoother.py").write_text("")
    (script / "02-blunt.py").write_text("")
    done = autoresearch(used, "run", "--agent", f"scripted:{script}", env=settings_of)
    assert (
        done.returncode == 0 and "the ledger did not know experiments 0, 1, 2: read from runs/ and git" in done.stderr
    )
    assert (rows(trials), rows(experiments)) == before
    assert consistency.check(used) == []


def test_trials_that_are_read_from_their_files_have_their_sizes(used: Path, store: Ledger) -> None:
    two, session = store.experiment(1, 2), store.session()
    assert two is not None and session is not None
    file = Artefacts(used / "runs/t/2").trial(0, ".json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"parameters": 7, "peak_vram_mb": 1.5}))
    store.connection.execute("DELETE FROM trials WHERE experiment_id = ?", (two.id,))
    store.connection.execute("DELETE FROM experiments WHERE id = ?", (two.id,))
    assert Recovery(context_of(store, session, Workspace(used))).restore_experiments() == [2]
    again = store.experiment(1, 2)
    assert again is not None
    trial = store.trials(1, again.id)[0]
    assert (trial.num_params, trial.peak_mb) == (7, 1.5)


def test_a_recovery_that_was_cut_off_begins_again(used: Path, store: Ledger) -> None:
    two, session = store.experiment(1, 2), store.session()
    assert two is not None and session is not None
    trials = store.trials(1, two.id)
    file = Artefacts(used / "runs/t/2").trial(0, ".json")
    good = file.read_text()
    file.write_text(json.dumps(json.loads(good) | {"seed": ["cannot be stored"]}))
    store.connection.execute("DELETE FROM trials WHERE experiment_id = ?", (two.id,))
    store.connection.execute("DELETE FROM experiments WHERE id = ?", (two.id,))
    recovery = Recovery(context_of(store, session, Workspace(used)))
    with pytest.raises(Exception, match="type 'list' is not supported"):
        recovery.restore_experiments()
    assert store.experiment(1, 2) is None
    file.write_text(good)
    assert recovery.restore_experiments() == [2]
    again = store.experiment(1, 2)
    assert again is not None and [trial.seed for trial in store.trials(1, again.id)] == [each.seed for each in trials]


def test_a_version_that_was_under_way_begins_again(used: Path, store: Ledger) -> None:
    """The copy knows experiments 0 and 1; of experiment 2 there is no record, for it was not settled."""
    two = store.experiment(1, 2)
    assert two is not None
    store.connection.execute("DELETE FROM trials WHERE experiment_id = ?", (two.id,))
    store.connection.execute("DELETE FROM experiments WHERE id = ?", (two.id,))
    Artefacts(used / "runs/t/2").record.unlink()
    session = store.session()
    assert session is not None
    assert Recovery(context_of(store, session, Workspace(used))).restore_experiments() == [2]
    again = store.experiment(1, 2)
    assert again is not None and (again.state, again.verdict) == ("proposed", None)
    assert (again.text, again.parent, again.hypothesis) == (two.text, two.parent, two.hypothesis)


def test_references_that_were_moved_are_left_where_they_are(used: Path, store: Ledger) -> None:
    session = store.session()
    assert session is not None
    git(used, "update-ref", "refs/autoresearch/t/2", "HEAD")
    git(used, "branch", "-D", "autoresearch/t")
    assert Recovery(context_of(store, session, Workspace(used))).restore_references() == []
    assert Workspace(used).refs("t")[2] == Workspace(used).head() and Workspace(used).branch("t") is None


def test_a_tag_with_references_and_no_session_is_not_taken(used: Path) -> None:
    git(used, "update-ref", time.strftime("refs/autoresearch/%b%d/0").lower(), "HEAD")
    with Ledger.open(used / "runs" / "ledger.db") as store:
        assert choose_tag(store, Workspace(used)) == time.strftime("%b%d-2").lower()


# --- room on the disk


def fill(runs: Path, n: int, size: int) -> None:
    (runs / "t" / str(n) / "trial-0.log").write_text("x" * size)


@pytest.mark.parametrize(("limit", "dropped"), [(1e9, []), (1.5e6, [("t", 2)])])
def test_the_worst_discards_make_room(limit: float, dropped: list[Any], used: Path, store: Ledger) -> None:
    for n in (0, 1, 2):
        fill(used / "runs", n, 600_000)
    quota = DiskQuota(used / "runs", store, limit)
    assert quota.make_room_for(used / "runs/t/2") == dropped
    assert Artefacts(used / "runs/t/1").patch.exists() and Artefacts(used / "runs/t/0").trial(0, ".log").exists()
    left = {path.name for path in (used / "runs/t/2").iterdir()}
    assert left >= {"experiment.json", "trial-0.json"} and ("trial-0.log" in left) == (not dropped)


def test_what_was_dropped_is_no_difference(used: Path, store: Ledger) -> None:
    assert Artefacts(used / "runs/t/2").drop_bulk() > 0
    assert consistency.check(used) == []


def test_the_order_in_which_artefacts_go(used: Path, store: Ledger) -> None:
    two = store.experiment(1, 2)
    assert two is not None
    more = {"text": two.text, "state": "settled"}
    store.add_experiment(1, 3, verdict="discard", delta=9.0, **more)
    store.add_experiment(1, 4, verdict="discard", delta=0.01, near_miss=True, p_gain=0.3, **more)
    store.add_experiment(1, 5, verdict="crash", **more)
    store.add_experiment(1, 6, verdict="suspect", **more)
    store.add_experiment(1, 7, verdict="discard", delta=0.1, **more)
    order = [n.n for _, n in DiskQuota(used / "runs", store, 0.0)._candidates()]
    assert order == [3, 2, 7, 5, 4] if (two.delta or 0) > 0.1 else order == [3, 7, 2, 5, 4]


# --- trials that were disturbed


@pytest.fixture
def session(
    repository: Path, bigram: str, quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> Iterator[SessionLoop]:
    folder = tmp_path / "script"
    folder.mkdir()
    (folder / "01-blunt.py").write_text(bigram.replace("SHARPNESS = 1.0", "SHARPNESS = 0.3"))
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        yield session_of(repository, store, registry.create(f"scripted:{folder}"), quick, bytes_data)


def scored(text: str, seed: int, *_: Any, **__: Any) -> Result:
    return Result("ok", 2.0 + text.count("0.3") + seed / 1e12, seed=seed, audit={"n": 1.0})


@pytest.mark.parametrize(("times", "reason"), [(2, "agent exhausted"), (3, None)])
def test_a_disturbed_trial_is_repeated_but_not_for_ever(times: int, reason: str | None, session: SessionLoop) -> None:
    left = [Result("infra", disturbed=True, reason="the program was stopped for 9 s")] * times
    settings = session.referees[0].settings
    session.referees = [FunctionReferee(lambda *args: left.pop() if left else scored(*args), settings)]
    if reason is None:
        with pytest.raises(UserError, match="a trial could not be run: the program was stopped for 9 s"):
            session.run()
        return
    assert session.run() == reason
    trials = session.context.ledger.trials(1)
    assert [trial.outcome for trial in trials] == ["infra"] * times + ["ok"] * 3
    assert len({trial.seed for trial in trials[: times + 1]}) == 1
