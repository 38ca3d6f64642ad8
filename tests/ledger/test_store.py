import dataclasses
import os
import shutil
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from autoresearch.errors import UserError
from autoresearch.ledger import Ledger, database, is_alive, state
from autoresearch.ledger.event_writer import write_event

REPOSITORY = Path(__file__).parents[2]
STATES = ["proposed", "committed", "measuring", "measured", "decided", "settled"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs" / "ledger.db"


@pytest.fixture
def ledger(path):
    with Ledger.open(path) as ledger:
        yield ledger


def new_session(ledger, tag="t", **settings):
    return ledger.create_session(
        tag,
        f"autoresearch/{tag}",
        "b" * 40,
        "sweep",
        "default",
        {"budget": "5m"} | settings,
        {"gpu": "none"},
        7,
    )


def child(script, path):
    """A Python process that writes to the ledger at `path`."""
    preamble = "import time\nfrom pathlib import Path\nfrom autoresearch.ledger import Ledger\n"
    preamble += f"path = Path({str(path)!r})\n"
    return subprocess.Popen(
        [sys.executable, "-c", preamble + textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )


# --- sessions


def test_a_session_comes_back_as_it_was_stored(ledger):
    created = new_session(ledger, nested={"a": [1, 2.5, None, "é"]})
    assert ledger.session() == ledger.session("t") == created
    assert created.settings == {"budget": "5m", "nested": {"a": [1, 2.5, None, "é"]}}
    assert created.identity == {"gpu": "none"} and created.layers == {} and created.seed == 7
    assert time.time() - 5 < created.created <= time.time()
    with pytest.raises(dataclasses.FrozenInstanceError):
        created.state = "ended"


def test_the_newest_session_is_the_default(ledger):
    assert ledger.session() is None
    new_session(ledger, "one")
    two = new_session(ledger, "two")
    assert ledger.session() == two
    assert ledger.session("one").tag == "one"
    assert ledger.session("three") is None


def test_a_tag_is_used_once(ledger):
    new_session(ledger)
    with pytest.raises(UserError, match="choose another --tag"):
        new_session(ledger)


def test_a_process_takes_a_session_over(ledger):
    session = new_session(ledger)
    assert state(session) == "interrupted"
    session = ledger.update_session(session.id, pid=os.getpid(), deadline=9e9, layers={"netns": True})
    assert is_alive(session) and state(session) == "running" and session.started is not None
    assert session.deadline == 9e9 and session.layers == {"netns": True}
    again = ledger.update_session(session.id, pid=os.getpid(), state="paused")
    assert (again.started, again.pid_started, state(again)) == (
        session.started,
        session.pid_started,
        "paused",
    )
    assert len(ledger.query("SELECT * FROM spans")) == 1


def test_the_end_is_noted_and_taken_back_on_resume(ledger):
    session = ledger.update_session(new_session(ledger).id, pid=os.getpid())
    ended = ledger.update_session(session.id, state="ended", stop_reason="deadline")
    assert ended.ended is not None and state(ended) == "ended"
    assert ledger.update_session(session.id, state="running", stop_reason=None).ended is None


def test_a_dead_process_and_a_stranger_with_its_number_are_no_session(ledger):
    session = new_session(ledger)
    process = child("time.sleep(60)", ledger.path)
    running = ledger.update_session(session.id, pid=process.pid)
    assert state(running) == "running"
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert state(running) == "interrupted"  # dead, but its parent has not noticed
    process.communicate()
    assert state(running) == "interrupted"
    stranger = dataclasses.replace(running, pid=os.getpid(), pid_started=running.pid_started - 3600)
    assert state(stranger) == "interrupted"


def test_unknown_columns_are_a_mistake(ledger):
    session = new_session(ledger)
    experiment = ledger.add_experiment(session.id, 0)
    for wrong in (
        lambda: ledger.update_session(session.id, sigma=1),
        lambda: ledger.update_session(session.id, id=9),
        lambda: ledger.add_experiment(session.id, 1, score=1),
        lambda: ledger.update_experiment(experiment.id, verdict="keep", session_id=2),
        lambda: ledger.add_call(session.id, tokens=1),
    ):
        with pytest.raises(TypeError):
            wrong()
    assert ledger.experiments(session.id) == [dataclasses.replace(experiment, text=None, numbers=None)]


def test_a_session_has_one_process(ledger):
    session = new_session(ledger)
    process = child("time.sleep(60)", ledger.path)
    ledger.update_session(session.id, pid=process.pid)
    with pytest.raises(UserError, match=f"running already .process {process.pid}.: see `autoresearch status`"):
        ledger.update_session(session.id, pid=os.getpid())
    process.kill()
    process.communicate()
    assert is_alive(ledger.update_session(session.id, pid=os.getpid()))


def test_a_clock_that_is_set_kills_nobody(ledger, monkeypatch):
    running = ledger.update_session(new_session(ledger).id, pid=os.getpid())
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: 0.0)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert is_alive(running)


# --- experiments


def test_an_experiment_goes_through_its_states(ledger):
    session = new_session(ledger)
    experiment = ledger.add_experiment(
        session.id, 3, parent=0, text="x = 1\r\n", params={"LR": [0.1, 0.2]}, predicted=-0.01, agent="sweep"
    )
    assert experiment.state == "proposed" and experiment.near_miss is False and experiment.text == "x = 1\r\n"
    for step in STATES:
        assert ledger.update_experiment(experiment.id, state=step).state == step
    done = ledger.update_experiment(experiment.id, verdict="discard", near_miss=True, p_gain=0.3, delta=0.5)
    assert (done.params, done.near_miss, done.predicted) == ({"LR": [0.1, 0.2]}, True, -0.01)
    assert ledger.experiment(session.id, 3) == done
    assert ledger.experiment(session.id, 4) is None
    with pytest.raises(sqlite3.IntegrityError):
        ledger.update_experiment(experiment.id, verdict="great")


def test_lists_of_experiments_are_ordered_filtered_and_without_texts(ledger):
    session, other = new_session(ledger), new_session(ledger, "other")
    for n in (2, 0, 1):
        verdict = "keep" if n != 1 else "crash"
        ledger.add_experiment(session.id, n, text=f"n = {n}", verdict=verdict)
    ledger.add_experiment(other.id, 0)
    assert [row.n for row in ledger.experiments(session.id)] == [0, 1, 2]
    assert [row.n for row in ledger.experiments(session.id, verdict="keep")] == [0, 2]
    assert {row.text for row in ledger.experiments(session.id)} == {None}
    assert [row.text for row in ledger.unfinished_experiments(session.id)] == ["n = 0", "n = 1", "n = 2"]
    ledger.update_experiment(ledger.experiment(session.id, 0).id, state="settled")
    assert [row.n for row in ledger.unfinished_experiments(session.id)] == [1, 2]


def test_a_number_is_given_once_in_a_session(ledger):
    session = new_session(ledger)
    ledger.add_experiment(session.id, 1)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add_experiment(session.id, 1)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add_experiment(session.id + 1, 1)  # there is no such session
    assert not ledger.connection.in_transaction


def test_what_json_and_utf8_cannot_hold_is_stored_all_the_same(ledger):
    session = new_session(ledger)
    experiment = ledger.add_experiment(
        session.id,
        0,
        params={"a": [float("nan"), 1e999], "b": {"c": -1e999}},
        hypothesis="half \ud83d, nul \0.",
    )
    assert experiment.params == {"a": [None, None], "b": {"c": None}}
    assert experiment.hypothesis == "half ?, nul \0."
    assert ledger.update_experiment(experiment.id, params=None).params == {}


# --- trials


def test_a_trial_starts_open_and_ends_with_its_numbers(ledger):
    session = new_session(ledger)
    experiment = ledger.add_experiment(session.id, 0)
    trial = ledger.start_trial(session.id, experiment.id, "base", 42, "blob")
    assert trial.outcome is None and trial.ended is None and trial.result == {}
    result = {"train_seconds": 1.5, "setup_seconds": 0.5, "score_seconds": 2.0, "grade": "WEAK", "reason": ""}
    done = ledger.end_trial(trial.id, "ok", 1.25, result)
    assert (done.val_bpb, done.train_seconds, done.setup_seconds, done.score_seconds) == (1.25, 1.5, 0.5, 2.0)
    assert done.grade == "WEAK" and done.result == result and done.ended >= done.started
    other = ledger.start_trial(session.id, ledger.add_experiment(session.id, 1).id, "screen", 43, "blob")
    assert ledger.trials(session.id) == [done, other]
    assert ledger.trials(session.id, experiment.id) == [done]


def test_a_failed_trial_has_no_score(ledger):
    session = new_session(ledger)
    trial = ledger.start_trial(session.id, ledger.add_experiment(session.id, 0).id, "base", 1, "blob")
    with pytest.raises(sqlite3.IntegrityError):
        ledger.end_trial(trial.id, "crash", 0.0, {})
    assert ledger.end_trial(trial.id, "crash", None, {"reason": "boom"}).val_bpb is None


def test_open_trials_are_abandoned_once(ledger):
    session, other = new_session(ledger), new_session(ledger, "other")
    trials = [
        ledger.start_trial(each.id, ledger.add_experiment(each.id, n).id, "screen", n, "blob")
        for n, each in ((1, session), (2, session), (3, other))
    ]
    ledger.end_trial(trials[0].id, "ok", 1.0, {})
    assert ledger.abandon_open_trials(session.id) == 1
    assert ledger.abandon_open_trials(session.id) == 0
    kept, abandoned = ledger.trials(session.id)
    assert kept.outcome == "ok"
    assert (abandoned.outcome, abandoned.result["reason"], abandoned.ended) == ("infra", "interrupted", None)
    assert ledger.trials(other.id)[0].outcome is None


# --- calls, events and messages


def test_calls_are_remembered(ledger):
    session = new_session(ledger)
    call = ledger.add_call(session.id, n=3, model="m", input_tokens=10, output_tokens=5, cost_usd=0.25, seconds=2.0)
    assert ledger.calls(session.id) == [call]
    assert call.purpose == "propose" and call.cost_usd == 0.25 and call.started > 0


def test_events_can_be_followed(ledger):
    session = new_session(ledger)
    ledger.event(session.id, "trial", "screen", n=4, data={"seed": 1})
    first = ledger.events(session.id)[0]
    assert (first.kind, first.text, first.n, first.data, first.taken) == (
        "trial",
        "screen",
        4,
        {"seed": 1},
        None,
    )
    ledger.event(session.id, "verdict", "discard")
    assert [event.kind for event in ledger.events(session.id, after=first.id)] == ["verdict"]
    assert [event.text for event in ledger.events(session.id, kind="trial")] == ["screen"]


def test_a_message_is_taken_once(ledger, path):
    session = new_session(ledger)
    with Ledger.open(path) as other:
        other.post(session.id, "note", "try less")
        other.post(session.id, "pause", "")
        other.post(session.id, "note", "or more")
    assert [event.text for event in ledger.take(session.id, "note")] == ["try less", "or more"]
    assert ledger.take(session.id, "note") == []
    assert len(ledger.take(session.id, "pause")) == 1
    assert [event.text for event in ledger.events(session.id) if event.kind == "note"] == [
        "try less",
        "or more",
    ]


def test_two_takers_never_get_the_same_message(ledger, path):
    session = new_session(ledger)
    script = """
    with Ledger.open(path) as ledger:
        got = []
        while "last" not in got:
            got += [event.text for event in ledger.take(1, "note")]
            time.sleep(0.001)
        print(*got)
    """
    takers = [child(script, path) for _ in range(2)]
    for k in range(40):
        ledger.post(session.id, "note", str(k))
    while any(taker.poll() is None for taker in takers):  # one of them may take more than one
        ledger.post(session.id, "note", "last")
        time.sleep(0.05)
    got = " ".join(taker.communicate(timeout=30)[0] for taker in takers).split()
    assert sorted(word for word in got if word != "last") == sorted(map(str, range(40)))


# --- the file


def test_the_file_is_safe_and_strict(ledger):
    def pragma(name):
        return ledger.connection.execute(f"PRAGMA {name}").fetchone()[0]

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2
    assert pragma("foreign_keys") == 1
    assert pragma("busy_timeout") == 10_000
    assert pragma("user_version") == len(database.MIGRATIONS)
    session = new_session(ledger)
    with pytest.raises(sqlite3.IntegrityError):
        ledger.add_experiment(session.id, "not a number")


def test_reading_needs_a_session(path):
    with pytest.raises(UserError, match="no session yet: start one with `autoresearch run`"):
        Ledger.open(path, readonly=True)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch()
    with pytest.raises(UserError, match="no session yet"):
        Ledger.open(path, readonly=True)


def test_readers_see_what_a_writer_has_written(tmp_path):
    path = tmp_path / "odd ?#%20 name.db"
    with Ledger.open(path) as writer:
        session = new_session(writer)
        with Ledger.open(path, readonly=True) as reader:
            assert reader.session() == session
            writer.connection.execute("BEGIN IMMEDIATE")
            writer.connection.execute("UPDATE sessions SET grade = 'WEAK'")
            assert reader.session().grade is None
            writer.connection.execute("COMMIT")
            assert reader.session().grade == "WEAK"
            with pytest.raises(UserError, match="readonly"):
                reader.event(session.id, "x", "")
    assert path.exists()
    with Ledger.open(path, readonly=True) as reader:
        assert reader.session().grade == "WEAK"


def test_a_newer_ledger_is_left_alone(path):
    with Ledger.open(path) as ledger:
        ledger.connection.execute("PRAGMA user_version = 99")
    for readonly in (True, False):
        with pytest.raises(UserError, match="newer"):
            Ledger.open(path, readonly)


def test_an_older_ledger_is_brought_up_to_date(path):
    with Ledger.open(path) as ledger:
        new_session(ledger)
    migrations = [
        *database.MIGRATIONS,
        "ALTER TABLE sessions ADD COLUMN mood TEXT;\nUPDATE sessions SET mood = 'ok';",
    ]
    for readonly in (True, False):
        connection = database.connect(path, readonly, migrations)
        assert [tuple(row) for row in connection.execute("SELECT tag, mood FROM sessions")] == [("t", "ok")]
        connection.close()


def test_a_ledger_of_the_first_version_keeps_its_experiments(path):
    old = database.connect(path, False, database.MIGRATIONS[:1])
    old.executescript(
        "INSERT INTO sessions (tag, branch, base_sha, agent, judge, seed, created)"
        " VALUES ('t', 'b', 's', 'a', 'j', 1, 0.0);"
        "INSERT INTO experiments (session_id, n, started, text, params) VALUES (1, 0, 1.5, 'x = 1', '{\"a\": 1}');"
        "INSERT INTO trials (session_id, experiment_id, purpose, seed, blob, started)"
        " VALUES (1, 1, 'base', 1, 'b', 2.0);"
    )
    old.close()
    with Ledger.open(path, readonly=True) as ledger:
        (experiment,) = ledger.unfinished_experiments(1)
        assert (experiment.text, experiment.params, experiment.started) == ("x = 1", {"a": 1}, 1.5)
        assert (experiment.line, experiment.mode, experiment.numbers, experiment.change) == (None, None, [], None)
        session = ledger.find_session("t")
        assert (session.evaluator, session.started_from, session.head) == (1, None, None)
        assert [row["name"] for row in ledger.query("PRAGMA table_info(experiments)")][-1] == "text"
        assert not ledger.query("PRAGMA foreign_key_check")
    with Ledger.open(path) as ledger:
        ledger.start_trial(1, 1, "screen", 1, "b")
        with pytest.raises(sqlite3.IntegrityError):
            ledger.start_trial(1, 99, "screen", 1, "b")


def test_a_list_of_experiments_is_without_their_programs(ledger):
    session = new_session(ledger)
    ledger.add_experiment(session.id, 0, shape="s", numbers=[1, 2.5], text="x")
    found = ledger.experiments(session.id)[0]
    assert found.shape == "s" and found.numbers is None and found.text is None


def test_a_failed_migration_changes_nothing(path):
    Ledger.open(path).close()
    broken = [*database.MIGRATIONS, "ALTER TABLE sessions ADD COLUMN mood TEXT;\nSELECT * FROM nowhere;"]
    with pytest.raises(UserError, match="nowhere"):
        database.connect(path, False, broken)
    with Ledger.open(path) as ledger:
        assert "mood" not in [row["name"] for row in ledger.query("PRAGMA table_info(sessions)")]


def test_an_old_sqlite_gets_the_same_tables(tmp_path):
    connection = sqlite3.connect(tmp_path / "old.db")
    for statement in database.statements(database.MIGRATIONS[0], (3, 34, 1)):
        assert "STRICT;" not in statement
        connection.execute(statement)
    assert len(connection.execute("SELECT * FROM sqlite_master WHERE type = 'table'").fetchall()) == 6
    connection.close()


@pytest.mark.parametrize("readonly", [True, False])
def test_a_damaged_file_says_what_to_do(path, readonly):
    with Ledger.open(path) as ledger:
        session = new_session(ledger)
        for n in range(200):
            ledger.add_experiment(session.id, n, text="x" * 2000)
    whole = path.read_bytes()
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(UserError, match="damaged"):
        Ledger.open(path, readonly)
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(UserError, match="damaged"), Ledger.open(path, readonly) as ledger:
        for row in ledger.experiments(session.id):
            ledger.experiment(session.id, row.n)


def test_another_database_is_not_taken_for_a_ledger(tmp_path):
    connection = sqlite3.connect(tmp_path / "mine.db")
    connection.execute("CREATE TABLE mine (x)")
    connection.close()
    for readonly in (True, False):
        with pytest.raises(UserError, match="not a ledger"):
            Ledger.open(tmp_path / "mine.db", readonly)


def test_a_path_that_cannot_be_a_ledger(tmp_path):
    with pytest.raises(UserError, match="cannot be used"):
        Ledger.open(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot hold the ledger"):
        Ledger.open(tmp_path / "file" / "ledger.db")


def test_git_ignores_a_folder_that_was_made_for_a_ledger(path):
    subprocess.run(["git", "init", "-q", str(path.parents[1])], check=True)
    Ledger.open(path).close()
    shown = subprocess.run(["git", "status", "--porcelain"], cwd=path.parents[1], capture_output=True, check=True)
    assert path.exists() and shown.stdout == b""


def test_a_folder_that_was_there_gets_no_file_of_git(tmp_path):
    Ledger.open(tmp_path / "ledger.db").close()
    assert not (tmp_path / ".gitignore").exists()


def test_a_lock_is_waited_for_and_then_explained(path, monkeypatch):
    Ledger.open(path).close()
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    with Ledger.open(path) as holder, Ledger.open(path) as ledger:
        holder.connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(UserError, match="locked by another program"):
            new_session(ledger)
        holder.connection.execute("ROLLBACK")
        new_session(ledger)


def test_a_kill_in_the_middle_of_writing_loses_no_finished_call(path):
    script = """
    with Ledger.open(path) as ledger:
        session = ledger.create_session("t", "b", "c", "a", "j", {}, {}, 1)
        n = 0
        while True:
            experiment = ledger.add_experiment(session.id, n, text="x" * 5000)
            ledger.update_experiment(experiment.id, state="committed", sha=f"sha{n}")
            print(n, flush=True)
            n += 1
    """
    process = child(script, path)
    last = -1
    for line in process.stdout:
        last = int(line)
        if last == 25:
            process.kill()
    process.communicate(timeout=30)
    with Ledger.open(path, readonly=True) as ledger:
        rows = ledger.experiments(1)
    assert [row.n for row in rows] == list(range(len(rows))) and len(rows) in (last + 1, last + 2)
    assert [row.sha for row in rows[: last + 1]] == [f"sha{n}" for n in range(last + 1)]


def test_first_openings_at_the_same_time(path):
    processes = [child("Ledger.open(path).close()\nprint('ok')", path) for _ in range(4)]
    assert [process.communicate(timeout=30)[0] for process in processes] == ["ok\n"] * 4


def test_a_ledger_that_is_deleted_while_it_is_open_is_written_again(tmp_path):
    path = tmp_path / "runs" / "ledger.db"
    with Ledger.open(path) as ledger:
        session = new_session(ledger)
        ledger.event(session.id, "one", "before")
        shutil.rmtree(path.parent)
        ledger.event(session.id, "two", "after")
        path.unlink()  # its log stays
        ledger.event(session.id, "three", "after")
        assert ledger.was_deleted
    with Ledger.open(path, readonly=True) as ledger:
        assert [event.kind for event in ledger.events(session.id)] == ["one", "two", "three"]
        assert ledger.query("PRAGMA integrity_check")[0][0] == "ok"


def test_a_ledger_that_is_deleted_after_its_last_transaction_is_written_again_at_the_end(tmp_path):
    path = tmp_path / "repository" / "runs" / "ledger.db"
    path.parent.mkdir(parents=True)
    with Ledger.open(path) as ledger:
        session = new_session(ledger)
        shutil.rmtree(path.parent)
    with Ledger.open(path, readonly=True) as ledger:
        assert ledger.find_session(session.tag).id == session.id
        shutil.rmtree(path.parent)
    assert not path.exists()
    with Ledger.open(path):
        path.parent.parent.rename(tmp_path / "moved")
    assert not path.parent.parent.exists()


def test_an_event_from_beside_the_loop_makes_no_new_ledger(tmp_path):
    path = tmp_path / "runs" / "ledger.db"
    with Ledger.open(path) as ledger:
        session = new_session(ledger)
        shutil.rmtree(path.parent)
        assert not write_event(path, session.id, "output", "lost")
        ledger.event(session.id, "one", "after")
        assert write_event(path, session.id, "output", "told")
        assert [event.text for event in ledger.events(session.id)] == ["after", "told"]


def test_a_ledger_in_whose_place_there_is_another_one_is_not_written(tmp_path):
    path = tmp_path / "runs" / "ledger.db"
    with Ledger.open(path) as ledger:
        session = new_session(ledger)
        shutil.rmtree(path.parent)
        Ledger.open(path).close()
        with pytest.raises(UserError, match="was replaced while it was in use"):
            ledger.event(session.id, "one", "lost")


def test_a_ledger_whose_repository_was_moved_is_not_written_to_the_old_place(tmp_path):
    path = tmp_path / "repository" / "runs" / "ledger.db"
    with Ledger.open(path) as ledger:
        session = new_session(ledger)
        (tmp_path / "repository").rename(tmp_path / "elsewhere")
        with pytest.raises(UserError, match="runs is gone: if the repository was moved, go there"):
            ledger.event(session.id, "one", "lost")
    assert not (tmp_path / "repository").exists()


@pytest.mark.parametrize("log_is_left", [False, True])
def test_a_ledger_in_a_place_that_cannot_be_written_is_read(log_is_left, tmp_path, monkeypatch):
    path = tmp_path / "runs" / "ledger.db"
    with Ledger.open(path) as ledger:
        new_session(ledger)
        if log_is_left:  # of a program that was killed: SQLite removes it when it is closed
            log = path.with_name("ledger.db-wal").read_bytes()
    if log_is_left:
        path.with_name("ledger.db-wal").write_bytes(log)
    if os.getuid() == 0:  # nothing is forbidden to root
        monkeypatch.setattr(os, "access", lambda *_: False)
        monkeypatch.setattr(database, "_peek_version", fail_to_open)
    path.parent.chmod(0o500)
    try:
        with Ledger.open(path, readonly=True) as ledger:
            assert [session.tag for session in ledger.sessions()] == ["t"]
    finally:
        path.parent.chmod(0o700)


def fail_to_open(*_):
    raise sqlite3.OperationalError("unable to open database file")


def test_a_copy_of_a_ledger_that_is_written_meanwhile_is_made_again(tmp_path, monkeypatch):
    path, copyfile, copies = tmp_path / "runs" / "ledger.db", shutil.copyfile, []
    with Ledger.open(path) as ledger:
        session = new_session(ledger)
        for k in range(300):
            ledger.event(session.id, "before", f"{k}" * 200)

        def copy(source, target):
            copyfile(source, target)
            copies.append(source)
            if len(copies) == 1:
                ledger.connection.execute("PRAGMA wal_checkpoint(RESTART)")
                for k in range(400):
                    ledger.event(session.id, "meanwhile", f"{k}" * 200)

        monkeypatch.setattr(database.shutil, "copyfile", copy)
        with closing(database._open_copy(path, database.MIGRATIONS)) as found:
            assert found.execute("SELECT count(*) FROM events").fetchone()[0] == 700
            assert found.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
        assert len(copies) == 4


def test_a_session_is_removed_with_all_that_belongs_to_it(ledger):
    one, two = new_session(ledger, "one"), new_session(ledger, "two")
    for session in (one, two):
        experiment = ledger.add_experiment(session.id, 0)
        ledger.start_trial(session.id, experiment.id, "base", 1, "b")
        ledger.add_call(session.id, n=1)
        ledger.event(session.id, "x", "x")
        ledger.update_session(session.id, pid=os.getpid())
    ledger.remove_session(one.id)
    assert [session.tag for session in ledger.sessions()] == ["two"]
    for table in ("experiments", "trials", "calls", "events", "spans"):
        assert [row["session_id"] for row in ledger.query(f"SELECT session_id FROM {table}")] == [two.id]
