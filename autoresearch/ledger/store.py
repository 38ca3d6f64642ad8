"""Ledger: a SQLite database of all sessions, experiments, trials, model calls and events.

One process writes while any number read; its threads may share one ledger. A call that writes is one transaction, on
disk when it returns.
"""

import sqlite3
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from types import TracebackType

from autoresearch.errors import UserError
from autoresearch.files import JsonObject
from autoresearch.ledger.database import (
    NO_SESSION,
    connect,
    explain_errors,
    identify_file,
    transaction,
    write_again,
)
from autoresearch.ledger.owner import birth_mark, check_free
from autoresearch.ledger.rows import Call, Event, Experiment, Row, Session, Trial, decode, encode, measured_columns

MAX_INTEGER = 2**63 - 1  # of SQLite
WITHDRAWN = ("val_bpb", "delta", "p_gain")  # columns that a suspect does not have
STEERING = ("pause", "unpause", "stop")  # messages to the process that works on a session
MESSAGES = ("note", *STEERING)  # kinds of events that other processes post
TABLES: dict[type, str] = {
    Session: "sessions",
    Experiment: "experiments",
    Trial: "trials",
    Call: "calls",
    Event: "events",
}
SHORT_COLUMNS = ", ".join(field.name for field in fields(Experiment) if field.name not in ("text", "numbers"))


class Ledger:
    """Sessions, experiments, trials, calls and events. `Ledger.open` is a context manager."""

    def __init__(self, path: Path, connection: sqlite3.Connection, readonly: bool = False) -> None:
        self.path = path
        self.connection = connection
        self.readonly = readonly
        self.was_deleted = False  # while it was open, and was written again
        self._file = identify_file(path)
        self._lock = threading.RLock()

    @classmethod
    def open(cls, path: Path, readonly: bool = False) -> "Ledger":
        """Open the ledger at `path`; create it if it is missing, and migrate it if it is old.

        It can be read while another process writes. Raises UserError if it is missing (readonly), damaged, locked, no
        ledger, or written by a newer version.
        """
        return cls(path, connect(path, readonly), readonly)

    def close(self) -> None:
        """Close the file; write it again first if it was deleted after the last transaction."""
        if not self.readonly and identify_file(self.path) is None:
            with suppress(UserError):  # the repository was moved
                self._check_file()
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
        settings: JsonObject,
        identity: JsonObject,
        seed: int,
        **columns: object,
    ) -> Session:
        """Add a session. Raises UserError if the tag exists."""
        values: dict[str, object] = columns | {
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
        with self.transaction():
            if self._rows(Session, "WHERE tag = ?", tag):
                raise UserError(f"there is a session `{tag}` already: choose another --tag")
            return self._insert(Session, values)

    def session(self, tag: str | None = None) -> Session | None:
        """Return the session with this tag, or the newest one."""
        if tag is not None and not tag.isprintable():  # no session has such a tag, and SQLite cannot read every one
            return None
        where, values = ("WHERE tag = ?", (tag,)) if tag is not None else ("", ())
        return _first(self._rows(Session, f"{where} ORDER BY created DESC, id DESC LIMIT 1", *values))

    def find_session(self, tag: str) -> Session:
        """Return the session with this tag. Raises UserError if there is none."""
        if (session := self.session(tag)) is None:
            known = ", ".join(each.tag for each in self.sessions()[-5:])
            raise UserError(f"there is no session `{tag}`; there is {known}" if known else NO_SESSION)
        return session

    def sessions(self) -> list[Session]:
        return self._rows(Session, "ORDER BY created, id")

    def update_session(self, id: int, slots: int = 1, **columns: object) -> Session:
        """Set columns. `pid` and `state` set further ones.

        `pid` says that this process works on the session from now on, on so many `slots`: it sets `pid_started` and,
        the first time, `started`; what was posted to steer an earlier process is void. Raises UserError if another
        process works on it. `state` sets or clears `ended`.
        """
        with self.transaction():
            session = self._rows(Session, "WHERE id = ?", id)[0]
            if isinstance(pid := columns.get("pid"), int):
                columns = self._take_over(session, pid, slots) | columns
            if "state" in columns:
                columns.setdefault("ended", time.time() if columns["state"] == "ended" else None)
            return self._update(Session, id, columns)

    def _take_over(self, session: Session, pid: int, slots: int) -> dict[str, object]:
        if pid != session.pid:
            check_free(session)
        for kind in STEERING:
            self.take(session.id, kind)
        now, mark = time.time(), birth_mark(pid)
        if (session.pid, session.pid_started) != (pid, mark):
            sql = "INSERT INTO spans (session_id, pid, began, slots) VALUES (?, ?, ?, ?)"
            self.connection.execute(sql, (session.id, pid, now, slots))
        return {"pid_started": mark, "started": session.started or now}

    def remove_session(self, id: int) -> None:
        """Delete a session and everything that belongs to it."""
        with self.transaction() as connection:
            for table in ("events", "calls", "trials", "experiments", "spans"):
                connection.execute(f"DELETE FROM {table} WHERE session_id = ?", (id,))
            connection.execute("DELETE FROM sessions WHERE id = ?", (id,))

    # --- experiments

    def add_experiment(self, session_id: int, n: int, **columns: object) -> Experiment:
        values = {"n": n, "started": time.time(), **columns}
        with self.transaction():
            return self._insert(Experiment, values, session_id=session_id)

    def update_experiment(self, id: int, **columns: object) -> Experiment:
        with self.transaction():
            return self._update(Experiment, id, columns)

    def demote(
        self, session_id: int, suspects: Mapping[int, str], misses: Collection[int], consequence: str
    ) -> list[Event]:
        """Turn keeps into suspects with these reasons, by number, and near misses into plain discards.

        A suspect has no score. Return the events, which hold what each of them was.
        """
        sql = "UPDATE experiments SET near_miss = 0 WHERE session_id = ? AND n = ?"
        with self.transaction() as connection:
            connection.executemany(sql, [(session_id, n) for n in misses])
            events = [self._demote(session_id, n, reason, consequence) for n, reason in suspects.items()]
            for n in misses:
                values = {"at": time.time(), "kind": "demoted", "n": n, "text": f"no near miss any more: {consequence}"}
                events.append(self._insert(Event, values, session_id=session_id))
        return events

    def _demote(self, session_id: int, n: int, reason: str, consequence: str) -> Event:
        row = self._rows(Experiment, "WHERE session_id = ? AND n = ?", session_id, n)[0]
        was = {name: getattr(row, name) for name in ("verdict", "reason", *WITHDRAWN)}
        self._update(Experiment, row.id, {**dict.fromkeys(WITHDRAWN), "verdict": "suspect", "reason": reason})
        text, data = f"suspect: {reason}; {consequence}", {"verdict": "suspect", "was": was}
        values = {"at": time.time(), "kind": "demoted", "n": n, "text": text, "data": data}
        return self._insert(Event, values, session_id=session_id)

    def experiments(self, session_id: int, verdict: str | None = None, after: int = -1) -> list[Experiment]:
        """Return experiments with a number greater than `after`, perhaps of one verdict.

        They come without `text` and `numbers`: these may be thousands of programs.
        """
        where, values = ("AND verdict = ?", (verdict,)) if verdict is not None else ("", ())
        where = f"WHERE session_id = ? AND n > ? {where} ORDER BY n"
        return self._rows(Experiment, where, session_id, after, *values, columns=SHORT_COLUMNS)

    def newest_keep(self, session_id: int) -> Experiment | None:
        """Return the newest settled keep, or the base while it is measured, without its text."""
        where = "WHERE session_id = ? AND verdict = 'keep' AND (state = 'settled' OR n = 0) ORDER BY n DESC LIMIT 1"
        return _first(self._rows(Experiment, where, session_id, columns=SHORT_COLUMNS))

    def experiment(self, session_id: int, n: int) -> Experiment | None:
        """Return one experiment by its number, which may be any, with its text."""
        if abs(n) > MAX_INTEGER:
            return None
        return _first(self._rows(Experiment, "WHERE session_id = ? AND n = ?", session_id, n))

    def unfinished_experiments(self, session_id: int) -> list[Experiment]:
        """Return the experiments that are not settled, oldest first, with their texts."""
        return self._rows(Experiment, "WHERE session_id = ? AND state != 'settled' ORDER BY n", session_id)

    # --- trials

    def start_trial(self, session_id: int, experiment_id: int, purpose: str, seed: int, blob: str) -> Trial:
        """Add a trial that is about to run, without an outcome."""
        return self.add_trial(session_id, experiment_id, purpose=purpose, seed=seed, blob=blob, started=time.time())

    def add_trial(self, session_id: int, experiment_id: int, **columns: object) -> Trial:
        with self.transaction():
            return self._insert(Trial, columns, session_id=session_id, experiment_id=experiment_id)

    def end_trial(self, id: int, outcome: str, val_bpb: float | None, result: JsonObject) -> Trial:
        """Record the result of a trial, and some of its values as columns, which lists read."""
        columns: dict[str, object] = {"outcome": outcome, "val_bpb": val_bpb, "result": result, "ended": time.time()}
        columns |= measured_columns(result)
        with self.transaction():
            return self._update(Trial, id, columns)

    def void_trial(self, id: int) -> Trial:
        """Make a trial that has ended a lost one: it counts for nothing, and is run again."""
        with self.transaction():
            return self._update(Trial, id, {"outcome": "infra"})

    def trials(self, session_id: int, experiment_id: int | None = None) -> list[Trial]:
        """Return trials in the order of their starts, perhaps of one experiment only."""
        if experiment_id is None:
            return self._rows(Trial, "WHERE session_id = ? ORDER BY id", session_id)
        where = "WHERE experiment_id = ? AND +session_id = ? ORDER BY id"  # `+`: use the index of experiments
        return self._rows(Trial, where, experiment_id, session_id)

    def trials_after(self, session_id: int, trial_id: int) -> list[Trial]:
        return self._rows(Trial, "WHERE session_id = ? AND id > ? ORDER BY id", session_id, trial_id)

    def abandon_open_trials(self, session_id: int) -> int:
        """Close the trials of a dead process: outcome infra, no end time. Return their number."""
        sql = "UPDATE trials SET outcome = 'infra', result = ? WHERE session_id = ? AND outcome IS NULL"
        result = '{"outcome": "infra", "reason": "interrupted"}'
        with self.transaction() as connection:
            return connection.execute(sql, (result, session_id)).rowcount

    # --- model calls, events and messages

    def add_call(self, session_id: int, **columns: object) -> Call:
        with self.transaction():
            return self._insert(Call, {"started": time.time(), **columns}, session_id=session_id)

    def update_call(self, id: int, **columns: object) -> Call:
        with self.transaction():
            return self._update(Call, id, columns)

    def renumber(self, session_id: int, expected: int, n: int, since: float) -> None:
        """Move calls and events of a proposal from its `expected` number to its final one."""
        if expected != n:
            with self.transaction() as connection:
                for table, when in (
                    ("calls", "started"),
                    ("events", "kind IN ('proposed', 'broken', 'absent') AND at"),
                ):
                    sql = f"UPDATE {table} SET n = ? WHERE session_id = ? AND n = ? AND {when} >= ?"
                    connection.execute(sql, (n, session_id, expected, since))

    def calls(self, session_id: int, n: int | None = None) -> list[Call]:
        """Return model calls in the order of recording, perhaps of one experiment only."""
        where = "WHERE session_id = ? AND (? IS NULL OR n = ?) ORDER BY id"
        return self._rows(Call, where, session_id, n, n)

    def event(
        self, session_id: int, kind: str, text: str, n: int | None = None, data: JsonObject | None = None
    ) -> None:
        """Add an event, perhaps of experiment `n`."""
        values = {"at": time.time(), "kind": kind, "text": text, "n": n, "data": data}
        with self.transaction():
            self._insert(Event, values, session_id=session_id)

    def events(self, session_id: int, after: int = 0, kind: str | None = None) -> list[Event]:
        """Return events and messages with an id greater than `after`, perhaps of one kind."""
        if kind is not None:
            return self._rows(
                Event, "WHERE session_id = ? AND kind = ? AND id > ? ORDER BY id", session_id, kind, after
            )
        # the + keeps SQLite from reading all events of the session when only the newest are wanted
        return self._rows(Event, "WHERE +session_id = ? AND id > ? ORDER BY id", session_id, after)

    def notes(self, session_id: int) -> list[str]:
        """Return the notes of the human, oldest first."""
        return [event.text for event in self.events(session_id, kind="note")]

    def post(self, session_id: int, kind: str, text: str) -> None:
        """Post a message to the running session: note, pause, unpause or stop."""
        assert kind in MESSAGES, kind
        self.event(session_id, kind, text)

    def has_message(self, session_id: int, *kinds: str) -> bool:
        """Return whether a message of one of these kinds is unread."""
        where = "WHERE session_id = ? AND kind = ? AND taken IS NULL LIMIT 1"
        return any(self._rows(Event, where, session_id, kind) for kind in kinds)

    def take(self, session_id: int, kind: str, most: int = -1) -> list[Event]:
        """Return the oldest unread messages of one kind, at most so many (-1: all), and mark them as read."""
        where, values = "WHERE session_id = ? AND kind = ? AND taken IS NULL ORDER BY id LIMIT ?", (session_id, kind)
        if not self._rows(Event, where, *values, most):
            return []
        with self.transaction() as connection:
            messages = self._rows(Event, where, *values, most)
            marks = [(time.time(), message.id) for message in messages]
            connection.executemany("UPDATE events SET taken = ? WHERE id = ?", marks)
        return messages

    # --- SQL

    def query(self, sql: str, **values: object) -> list[sqlite3.Row]:
        """Run a query with named values; return its rows."""
        with self._lock, explain_errors(self.path):
            return self.connection.execute(sql, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Make all that a block writes one transaction; one inside another is part of it."""
        with self._lock, explain_errors(self.path):
            if self.connection.in_transaction:
                yield self.connection
                return
            self._check_file()
            with transaction(self.connection):
                yield self.connection

    def _check_file(self) -> None:
        """Write the file again if it was deleted while it was open. Raises UserError if another one is there."""
        if (now := identify_file(self.path)) == self._file:
            return
        if now is not None:
            raise UserError(
                f"{self.path} was replaced while it was in use: `autoresearch run` goes on with the new one"
            )
        self.connection = write_again(self.connection, self.path)
        self._file, self.was_deleted = identify_file(self.path), True

    def _rows(self, kind: type[Row], where: str, *values: object, columns: str = "*") -> list[Row]:
        sql = f"SELECT {columns} FROM {TABLES[kind]} {where}"
        with self._lock, explain_errors(self.path):
            found = self.connection.execute(sql, values).fetchall()
        return [decode(kind, row) for row in found]

    def _insert(self, kind: type[Row], columns: dict[str, object], **keys: int) -> Row:
        values = encode(kind, columns) | keys
        marks = ", ".join("?" * len(values))
        sql = f"INSERT INTO {TABLES[kind]} ({', '.join(values)}) VALUES ({marks})"
        cursor = self.connection.execute(sql, tuple(values.values()))
        return self._rows(kind, "WHERE id = ?", cursor.lastrowid)[0]

    def _update(self, kind: type[Row], id: int, columns: dict[str, object]) -> Row:
        values: dict[str, object] = encode(kind, columns)
        if values:
            sets = ", ".join(f"{name} = ?" for name in values)
            self.connection.execute(f"UPDATE {TABLES[kind]} SET {sets} WHERE id = ?", (*values.values(), id))
        return self._rows(kind, "WHERE id = ?", id)[0]


def _first(rows: list[Row]) -> Row | None:
    return rows[0] if rows else None
