"""The ledger: a SQLite database that remembers every session, experiment, trial, model call and event.

One process writes, any number read meanwhile; its threads may share one ledger. A call that writes is one transaction,
on disk when it returns.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import Any

from autoresearch.errors import UserError
from autoresearch.ledger import database, owner
from autoresearch.ledger.rows import Call, Event, Experiment, Row, Session, Trial, decode, encode

MESSAGES = ("note", "pause", "unpause", "stop")  # kinds of events that other processes post
TABLES: dict[type, str] = {
    Session: "sessions",
    Experiment: "experiments",
    Trial: "trials",
    Call: "calls",
    Event: "events",
}
BRIEFLY = ", ".join(field.name for field in fields(Experiment) if field.name not in ("text", "numbers"))


class Ledger:
    """Open it with `Ledger.open`; use it as a context manager, or close it."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.connection = connection
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, readonly: bool = False) -> "Ledger":
        """The ledger at `path`, made if it is not there, brought up to date if it is old.

        Reading needs a ledger that exists, and works while another process writes. Raises UserError if it is
        missing (readonly), damaged, locked, something else, or made by a newer version.
        """
        return cls(path, database.connect(path, readonly))

    def close(self) -> None:
        """Let go of the file."""
        self.connection.close()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- sessions

    def create_session(
        self,
        tag: str,
        branch: str,
        base_sha: str,
        agent: str,
        judge: str,
        settings: dict[str, Any],
        identity: dict[str, Any],
        seed: int,
    ) -> Session:
        """A new session. Raises UserError if the tag is taken."""
        values = {
            "tag": tag,
            "branch": branch,
            "base_sha": base_sha,
            "agent": agent,
            "judge": judge,
            "settings": settings,
            "identity": identity,
            "seed": seed,
            "created": time.time(),
        }
        with self._transaction():
            if self._rows(Session, "WHERE tag = ?", tag):
                raise UserError(f"there is a session `{tag}` already: choose another --tag")
            return self._insert(Session, values)

    def session(self, tag: str | None = None) -> Session | None:
        """The session with this tag, or the newest one."""
        where, values = ("WHERE tag = ?", (tag,)) if tag is not None else ("", ())
        return _only(self._rows(Session, f"{where} ORDER BY created DESC, id DESC LIMIT 1", *values))

    def sessions(self) -> list[Session]:
        """All sessions, oldest first."""
        return self._rows(Session, "ORDER BY created, id")

    def update_session(self, id: int, slots: int = 1, **columns: Any) -> Session:
        """Set columns. Three fill in others that are not given.

        `pid` says that this process works on the session from now on, on so many `slots`: it sets `pid_started` and,
        the first time, `started`. Raises UserError if another one does. `state` sets `ended`, or clears it again.
        """
        with self._transaction():
            session = self._rows(Session, "WHERE id = ?", id)[0]
            if columns.get("pid") is not None:
                columns = self._begin(session, columns, slots)
            if "state" in columns:
                columns.setdefault("ended", time.time() if columns["state"] == "ended" else None)
            return self._update(Session, id, columns)

    def _begin(self, session: Session, columns: dict[str, Any], slots: int) -> dict[str, Any]:
        if columns["pid"] != session.pid:
            owner.check_free(session)
        now = time.time()
        born = owner.born(columns["pid"])
        if (session.pid, session.pid_started) != (columns["pid"], born):
            sql = "INSERT INTO spans (session_id, pid, began, slots) VALUES (?, ?, ?, ?)"
            self.connection.execute(sql, (session.id, columns["pid"], now, slots))
        return {"pid_started": born, "started": session.started or now, **columns}

    # --- experiments

    def add_experiment(self, session_id: int, n: int, **columns: Any) -> Experiment:
        """A new experiment in state `proposed`."""
        values = {"n": n, "started": time.time(), **columns}
        with self._transaction():
            return self._insert(Experiment, values, session_id=session_id)

    def update_experiment(self, id: int, **columns: Any) -> Experiment:
        """Set columns; returns the whole row."""
        with self._transaction():
            return self._update(Experiment, id, columns)

    def experiments(self, session_id: int, verdict: str | None = None, after: int = -1) -> list[Experiment]:
        """Oldest first, perhaps of one verdict, of numbers greater than `after`.

        Without `text` and `numbers`: it may be thousands of programs.
        """
        where, values = ("AND verdict = ?", (verdict,)) if verdict is not None else ("", ())
        where = f"WHERE session_id = ? AND n > ? {where} ORDER BY n"
        return self._rows(Experiment, where, session_id, after, *values, columns=BRIEFLY)

    def experiment(self, session_id: int, n: int) -> Experiment | None:
        """One experiment by its number, with its text."""
        return _only(self._rows(Experiment, "WHERE session_id = ? AND n = ?", session_id, n))

    def unfinished(self, session_id: int) -> list[Experiment]:
        """The experiments that are not settled, oldest first, with their texts."""
        return self._rows(Experiment, "WHERE session_id = ? AND state != 'settled' ORDER BY n", session_id)

    # --- trials

    def start_trial(self, session_id: int, experiment_id: int, purpose: str, seed: int, blob: str) -> Trial:
        """A trial that is about to run; it has no outcome yet."""
        return self.add_trial(session_id, experiment_id, purpose=purpose, seed=seed, blob=blob, started=time.time())

    def add_trial(self, session_id: int, experiment_id: int, **columns: Any) -> Trial:
        """A trial and what is known of it."""
        with self._transaction():
            return self._insert(Trial, columns, session_id=session_id, experiment_id=experiment_id)

    def end_trial(self, id: int, outcome: str, val_bpb: float | None, result: dict[str, Any]) -> Trial:
        """Record what a trial gave; what lists show of it is taken out of `result`."""
        names = ("train_seconds", "setup_seconds", "score_seconds", "grade")
        columns = {
            "outcome": outcome,
            "val_bpb": val_bpb,
            "result": result,
            "ended": time.time(),
            **{name: result.get(name) for name in names},
            "num_params": result.get("reported", {}).get("num_params"),
            "peak_mb": result.get("peak_vram_mb"),
        }
        with self._transaction():
            return self._update(Trial, id, columns)

    def trials(self, session_id: int, experiment_id: int | None = None) -> list[Trial]:
        """In the order in which they were started."""
        if experiment_id is None:
            return self._rows(Trial, "WHERE session_id = ? ORDER BY id", session_id)
        where = "WHERE experiment_id = ? AND +session_id = ? ORDER BY id"  # `+`: by the index of experiments
        return self._rows(Trial, where, experiment_id, session_id)

    def trials_after(self, session_id: int, trial_id: int) -> list[Trial]:
        """The trials that were started after another one."""
        return self._rows(Trial, "WHERE session_id = ? AND id > ? ORDER BY id", session_id, trial_id)

    def abandon_open_trials(self, session_id: int) -> int:
        """Close the trials of a process that is gone, with outcome infra; returns how many there were.

        When they ended stays unknown.
        """
        sql = "UPDATE trials SET outcome = 'infra', result = ? WHERE session_id = ? AND outcome IS NULL"
        result = '{"outcome": "infra", "reason": "interrupted"}'
        with self._transaction() as connection:
            return connection.execute(sql, (result, session_id)).rowcount

    # --- model calls, events and messages

    def add_call(self, session_id: int, **columns: Any) -> Call:
        """A call of a language model that was made."""
        with self._transaction():
            return self._insert(Call, {"started": time.time(), **columns}, session_id=session_id)

    def update_call(self, id: int, **columns: Any) -> Call:
        """What is known of a call once it has ended."""
        with self._transaction():
            return self._update(Call, id, columns)

    def renumber(self, session_id: int, told: int, n: int, since: float) -> None:
        """What was written down since then of the making of an experiment that was to be `told` belongs to `n`."""
        if told != n:
            with self._transaction() as connection:
                for table, when in (
                    ("calls", "started"),
                    ("events", "kind IN ('proposed', 'broken', 'absent') AND at"),
                ):
                    sql = f"UPDATE {table} SET n = ? WHERE session_id = ? AND n = ? AND {when} >= ?"
                    connection.execute(sql, (n, session_id, told, since))

    def calls(self, session_id: int, n: int | None = None) -> list[Call]:
        """In the order in which they were recorded, perhaps of one experiment."""
        where = "WHERE session_id = ? AND (? IS NULL OR n = ?) ORDER BY id"
        return self._rows(Call, where, session_id, n, n)

    def event(
        self, session_id: int, kind: str, text: str, n: int | None = None, data: dict[str, Any] | None = None
    ) -> None:
        """Something happened, perhaps to experiment `n`."""
        values = {"at": time.time(), "kind": kind, "text": text, "n": n, "data": data}
        with self._transaction():
            self._insert(Event, values, session_id=session_id)

    def events(self, session_id: int, after: int = 0, kind: str | None = None) -> list[Event]:
        """Events and messages with an id greater than `after`, perhaps of one kind, oldest first."""
        if kind is not None:
            return self._rows(
                Event, "WHERE session_id = ? AND kind = ? AND id > ? ORDER BY id", session_id, kind, after
            )
        # the + keeps SQLite from walking through all events of the session when only the newest are asked for
        return self._rows(Event, "WHERE +session_id = ? AND id > ? ORDER BY id", session_id, after)

    def notes(self, session_id: int) -> list[str]:
        """What the human told the session, oldest first."""
        return [event.text for event in self.events(session_id, kind="note")]

    def post(self, session_id: int, kind: str, text: str) -> None:
        """A message to the running session: note, pause, unpause or stop."""
        assert kind in MESSAGES, kind
        self.event(session_id, kind, text)

    def take(self, session_id: int, kind: str) -> list[Event]:
        """The messages of one kind that nobody took yet; now they are taken."""
        where = "WHERE session_id = ? AND kind = ? AND taken IS NULL ORDER BY id"
        if not self._rows(Event, where, session_id, kind):
            return []
        with self._transaction() as connection:
            found = self._rows(Event, where, session_id, kind)
            taken = [(time.time(), event.id) for event in found]
            connection.executemany("UPDATE events SET taken = ? WHERE id = ?", taken)
        return found

    # --- SQL

    def query(self, sql: str, **values: Any) -> list[sqlite3.Row]:
        """The rows that a question gives; `:name` in it stands for a value."""
        with self._lock, database.explained(self.path):
            return self.connection.execute(sql, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, database.explained(self.path), database.transaction(self.connection):
            yield self.connection

    def _rows(self, kind: type[Row], where: str, *values: Any, columns: str = "*") -> list[Row]:
        sql = f"SELECT {columns} FROM {TABLES[kind]} {where}"
        with self._lock, database.explained(self.path):
            found = self.connection.execute(sql, values).fetchall()
        return [decode(kind, row) for row in found]

    def _insert(self, kind: type[Row], columns: dict[str, Any], **keys: int) -> Row:
        values: dict[str, Any] = encode(kind, columns) | keys
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {TABLES[kind]} ({', '.join(values)}) VALUES ({marks})"
        cursor = self.connection.execute(sql, tuple(values.values()))
        return self._rows(kind, "WHERE id = ?", cursor.lastrowid)[0]

    def _update(self, kind: type[Row], id: int, columns: dict[str, Any]) -> Row:
        values: dict[str, Any] = encode(kind, columns)
        if values:
            sets = ", ".join(f"{name} = ?" for name in values)
            self.connection.execute(f"UPDATE {TABLES[kind]} SET {sets} WHERE id = ?", (*values.values(), id))
        return self._rows(kind, "WHERE id = ?", id)[0]


def _only(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None
