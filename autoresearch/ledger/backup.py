"""Copies of the ledger: one at each start of a session, the last few are kept."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from autoresearch.ledger import database
from autoresearch.ledger.store import Ledger

KEPT = 5  # copies


def back_up(ledger: Ledger) -> Path:
    """Copy the ledger to runs/backups/, whole or not at all. Raises UserError where it is damaged, or there is no room."""
    folder = database.backups(ledger.path)
    path = folder / time.strftime("ledger-%Y%m%d-%H%M%S.db")
    beside = path.with_suffix(".new")
    folder.mkdir(exist_ok=True)
    with database.explained(ledger.path):
        damage = ledger.connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":  # a copy of it would push a good one out
            raise sqlite3.DatabaseError(f"malformed: {damage}")
        beside.unlink(missing_ok=True)
        with closing(sqlite3.connect(beside)) as copy:
            ledger.connection.backup(copy)
    beside.replace(path)
    for old in sorted(folder.glob("ledger-*.db"))[:-KEPT]:
        old.unlink()
    return path
