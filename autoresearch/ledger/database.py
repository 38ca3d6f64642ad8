"""SQLite file of the ledger: opening, migrations by number, and clear error messages."""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib import resources
from pathlib import Path

from autoresearch.errors import MachineError, UserError, as_user_error
from autoresearch.files import name_folder, retry_if_deleted

BUSY_TIMEOUT_S = 10.0  # to wait for another writer
COPY_TRIES, COPY_PAUSE_S = 10, 0.1  # to copy a database that nobody writes meanwhile
# Migration k brings a ledger from version k - 1 to version k, which PRAGMA user_version holds. Append only.
_SCRIPTS = (
    *("schema.sql", "lines.sql", "briefly.sql", "slots.sql", "origin.sql", "parameters.sql", "speed.sql"),
    *("stopped.sql", "invalid.sql", "arms.sql"),
)
MIGRATIONS = [resources.files("autoresearch.ledger").joinpath(name).read_text("utf-8") for name in _SCRIPTS]
NO_SESSION = "no session yet: start one with `autoresearch run`"


def connect(path: Path, readonly: bool, migrations: Sequence[str] = MIGRATIONS) -> sqlite3.Connection:
    """Open the database and migrate it; create it if it may be written. Raises UserError.

    Where nothing may be written, not even the files that SQLite needs for reading, a copy is opened.
    """
    _check_exists(path, readonly)
    with explain_errors(path):
        if not readonly:
            return _open(path, False, migrations)
        try:
            if 0 < _peek_version(path, migrations) < len(migrations):
                _open(path, False, migrations).close()
            return _open(path, True, migrations)
        except sqlite3.OperationalError:
            if os.access(path.parent, os.W_OK):
                raise
            return _open_copy(path, migrations)


@contextmanager
def explain_errors(path: Path) -> Iterator[None]:
    """Turn errors that a user can fix into UserError; mistakes in SQL stay as they are."""
    try:
        yield
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise
    except sqlite3.DatabaseError as error:
        raise _explain(path, error) from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Commit all statements of a block, on disk at its end, or none."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def identify_file(path: Path) -> tuple[int, int] | None:
    """Return the device and the inode of a file; None if there is none."""
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino


def write_again(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    """Write a database whose file was deleted while it was open, and open the new file. Raises UserError.

    The connection still reads the deleted file. Its log must go first: SQLite would replay it into the new file.
    """
    retry_if_deleted(lambda: _write_copy(connection, path))
    connection.close()
    return connect(path, readonly=False)


def _write_copy(connection: sqlite3.Connection, path: Path) -> None:
    if not path.parent.parent.is_dir():
        raise MachineError(f"{path.parent} is gone: if the repository was moved, go there")
    _make_folder(path.parent)
    partial = path.with_suffix(".new")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(partial)) as copy:
        connection.backup(copy)
    for name in (f"{path}-wal", f"{path}-shm"):
        Path(name).unlink(missing_ok=True)
    partial.replace(path)


def statements(script: str, sqlite_version: tuple[int, ...] = sqlite3.sqlite_version_info) -> Iterator[str]:
    """Split a migration into statements for this SQLite: before 3.37 it has no STRICT tables."""
    if sqlite_version < (3, 37):
        script = script.replace(") STRICT;", ");")
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _check_exists(path: Path, readonly: bool) -> None:
    """Refuse to replace a lost ledger: copies of a new one would replace the old ones."""
    if path.exists() and path.stat().st_size:
        return
    if copies := _copies(path):
        restart = f"`rm -r {backup_folder(path)}` starts a new one"
        raise UserError(f"{path} is {'empty' if path.exists() else 'gone'}: {_restore(path, copies[-1])}; {restart}")
    if readonly:
        raise UserError(NO_SESSION)


def _open(path: Path, readonly: bool, migrations: Sequence[str]) -> sqlite3.Connection:
    if not readonly:
        _make_folder(path.parent)
    uri = f"{path.absolute().as_uri()}?mode={'ro' if readonly else 'rwc'}"
    connection = sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    try:
        if _version(connection, path, migrations) == 0 and readonly:
            raise UserError(NO_SESSION)
        if not readonly:
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous = FULL")
            _migrate(connection, path, migrations)
            connection.execute("PRAGMA foreign_keys = ON")  # only now: a migration may replace a table
    except BaseException:
        connection.close()
        raise
    return connection


def _open_copy(path: Path, migrations: Sequence[str]) -> sqlite3.Connection:
    """Open a copy, whose files are removed at once: the connection keeps them. Raises UserError.

    A file and a log that were copied at different times would read as a damaged database.
    """
    files = path, path.with_name(f"{path.name}-wal")
    for _ in range(COPY_TRIES):
        before = [_stamp(file) for file in files]
        with tempfile.TemporaryDirectory(prefix="autoresearch-") as folder:
            for file in files:
                with suppress(FileNotFoundError):  # the log is removed by the last program that closes the ledger
                    shutil.copyfile(file, Path(folder, file.name))
            if before == [_stamp(file) for file in files]:
                return _open(Path(folder, path.name), False, migrations)
        time.sleep(COPY_PAUSE_S)
    raise UserError(f"{path} changes while it is read without write permission: try again")


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what changes when a file is written or replaced; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to WAL; retry, for SQLite does not wait for a process that does the same."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _make_folder(folder: Path) -> None:
    """Make the folder of a ledger, by default `runs/`, if it is missing; git ignores one that is made here."""
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):  # deleted meanwhile
                (folder / ".gitignore").write_text("*\n")
    except OSError as error:
        raise as_user_error(name_folder(error, folder)) or UserError(
            f"{folder} cannot hold the ledger: {error.strerror}"
        ) from None


def _peek_version(path: Path, migrations: Sequence[str]) -> int:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    try:
        return _version(connection, path, migrations)
    finally:
        connection.close()


def _version(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> int:
    # One statement, for between two another process may create the tables.
    sql = "SELECT user_version, EXISTS (SELECT 1 FROM sqlite_master) FROM pragma_user_version"
    version, tables = connection.execute(sql).fetchone()
    if version > len(migrations):
        raise UserError(f"{path} was written by a newer autoresearch: update this one")
    if version == 0 and tables:
        raise UserError(f"{path} is a database, but not a ledger: move it away")
    return int(version)


def _migrate(connection: sqlite3.Connection, path: Path, migrations: Sequence[str]) -> None:
    if _version(connection, path, migrations) == len(migrations):
        return
    with transaction(connection):
        version = _version(connection, path, migrations)  # another process may have been faster
        for migration in migrations[version:]:
            for statement in statements(migration):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(migrations)}")


def backup_folder(path: Path) -> Path:
    return path.with_name("backups")


def _copies(path: Path) -> list[Path]:
    return sorted(backup_folder(path).glob("ledger-*.db"))


def _restore(path: Path, copy: Path) -> str:
    command = f"`rm -f {path}-wal {path}-shm && cp {copy} {path}`"
    return f"{command} restores the last copy; `autoresearch run` then reads what came after it from git and runs/"


def _explain(path: Path, error: sqlite3.DatabaseError) -> UserError:
    words = " ".join(str(error).split())
    if "locked" in words or "busy" in words:
        who = f"{path} has been locked by another program for {BUSY_TIMEOUT_S:.0f} s"
        return UserError(f"{who}: close it, then try again")
    if "malformed" in words or "not a database" in words:
        copies = _copies(path)
        if not copies:
            save = f"save what is left with `sqlite3 {path} .recover | sqlite3 recovered.db`"
            return UserError(f"{path} is damaged ({words}): {save}, or move it away and start a new --tag")
        return UserError(f"{path} is damaged ({words}): {_restore(path, copies[-1])}")
    if "full" in words:
        return MachineError(f"{path} cannot grow ({words}): make room there")
    return MachineError(f"{path} cannot be used ({words}): check the disk and who may write there")
