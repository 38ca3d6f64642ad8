"""A recorded session of a language model, as its ledger was at any moment.

tests/fixtures/recorded-night/ledger.sql.xz is the whole ledger of that session (52 experiments of 15 CPU-seconds, 9
keeps) as SQL, as version 0.1.0 wrote it. It was made from the file with `sqlite3.Connection.iterdump`, and is not made
anew for later versions: opening it migrates it.
"""

import lzma
import sqlite3
from contextlib import closing
from functools import cache
from pathlib import Path

from autoresearch.ledger import Ledger

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "recorded-night" / "ledger.sql.xz"
TAG = "llm"
EXPERIMENTS = 52  # after the base
MERGED = (6, 13, 16, 19, 22, 26, 31, 36)  # changes that were carried over to a new incumbent: nobody was asked for them
KEPT = (1, 4, 11, 14, 17, 20, 24, 29, 34)
# Facts that the ledger does not hold: the data set of the session (its rows follow from the epochs of the base).
VOCAB_SIZE, SEQ_LEN, ROWS = 2048, 64, 51970

_UNMEASURED = (
    "verdict = NULL, reason = NULL, near_miss = 0, val_bpb = NULL, delta = NULL, sigma = NULL, p_gain = NULL,"
    " settled = NULL"
)
_REWIND = f"""
DELETE FROM trials WHERE started >= :at;
DELETE FROM experiments WHERE started >= :at;
DELETE FROM calls WHERE started >= :at;
DELETE FROM events WHERE at >= :at;
UPDATE trials SET outcome = NULL, val_bpb = NULL, train_seconds = NULL, setup_seconds = NULL, score_seconds = NULL,
  grade = NULL, result = '{{}}', ended = NULL, num_params = NULL, peak_mb = NULL WHERE ended >= :at;
UPDATE experiments SET {_UNMEASURED}, state = 'measuring' WHERE settled >= :at;
UPDATE experiments SET state = 'committed'
  WHERE state = 'measuring' AND id NOT IN (SELECT experiment_id FROM trials);
UPDATE sessions SET state = 'running', stop_reason = NULL, ended = NULL
"""


def restore(path: Path) -> Path:
    """Write the whole ledger to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(_sql())
    return path


def restore_before(path: Path, n: int) -> Path:
    """Write the ledger to `path` as it was when the brief of experiment `n` was written, or `n` was merged."""
    restore(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        at = moment(connection, n)
        for statement in _REWIND.split(";"):
            connection.execute(statement, {"at": at} if ":at" in statement else {})
    return path


def open_before(folder: Path, n: int) -> Ledger:
    """Open the ledger in `folder`/runs as it was before experiment `n`."""
    return Ledger.open(restore_before(folder / "runs" / "ledger.db", n))


def moment(connection: sqlite3.Connection, n: int) -> float:
    """Return when the brief of an experiment was written, or when it was merged (unix seconds)."""
    asked = "SELECT min(started) FROM calls WHERE n = ? AND purpose = 'propose'"
    merged = "SELECT started FROM experiments WHERE n = ?"
    return float(connection.execute(f"SELECT coalesce(({asked}), ({merged}))", (n, n)).fetchone()[0])


@cache
def _sql() -> str:
    return lzma.decompress(FIXTURE.read_bytes()).decode()
