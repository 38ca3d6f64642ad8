"""Copy the ledger at each start of a session, and keep the last few copies."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from autoresearch.files import retry_if_deleted
from autoresearch.ledger.database import backup_folder, explain_errors
from autoresearch.ledger.store import Ledger

COPIES = 5


def back_up(ledger: Ledger) -> Path:
    """Copy the ledger to runs/backups/, and keep the last few copies. Raises UserError if it is damaged."""
    path = copy_ledger(ledger, time.strftime("ledger-%Y%m%d-%H%M%S.db"))
    for old in sorted(path.parent.glob("ledger-*.db"))[:-COPIES]:
        old.unlink()
    return path


def copy_ledger(ledger: Ledger, name: str) -> Path:
    """Copy the ledger to a file in runs/backups/ atomically. Raises UserError if it is damaged."""
    return retry_if_deleted(lambda: _copy(ledger, backup_folder(ledger.path) / name))


def _copy(ledger: Ledger, path: Path) -> Path:
    partial = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with explain_errors(ledger.path):
        damage = ledger.connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":  # its copy would replace a good one
            raise sqlite3.DatabaseError(f"malformed: {damage}")
        partial.unlink(missing_ok=True)
        with closing(sqlite3.connect(partial)) as copy:
            ledger.connection.backup(copy)
    return partial.replace(path)
