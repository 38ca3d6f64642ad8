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

from support.sessions import context_of

from autoresearch.brief.brief import Brief
from autoresearch.brief.lesson_choice import LessonChooser
from autoresearch.brief.lessons import Lessons
from autoresearch.data.dataset import Dataset
from autoresearch.ledger import Ledger
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings
from autoresearch.session.briefing import Briefing
from autoresearch.session.evidence import Evidence

FIXTURE = Path(__file__).resolve().parents[1] / "fixtures" / "recorded-night" / "ledger.sql.xz"
TAG = "llm"
EXPERIMENTS = 52  # after the base
MERGED = (6, 13, 16, 19, 22, 26, 31, 36)  # changes that were carried over to a new incumbent: nobody was asked for them
KEPT = (1, 4, 11, 14, 17, 20, 24, 29, 34)
# The data set of that session, which the ledger does not hold: its rows follow from the epochs of the base, its bytes a
# token are those of the rows that were scored.
VOCAB_SIZE, SEQ_LEN, ROWS, BYTES_PER_TOKEN = 2048, 64, 51970, 3.0011
DATA = Dataset(
    Path("gone"),
    {
        "vocab_size": VOCAB_SIZE,
        "seq_len": SEQ_LEN,
        "source": "stdlib",
        "tokenizer": {"kind": "bpe", "bos": VOCAB_SIZE - 1},
        "splits": {"train": {"bytes": int(ROWS * SEQ_LEN * BYTES_PER_TOKEN), "tokens": ROWS * SEQ_LEN}},
        "files": {"train-0000.bin": {"size": 2 * ROWS * (SEQ_LEN + 1)}},
    },
)
SETTINGS = Settings(Budget.parse("15cpu"), cores=(1,), memory=4 << 30, eval_rows=512)

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
        connection.execute("PRAGMA synchronous = OFF")
        connection.executescript(_sql())
    return path


def restore_before(path: Path, n: int) -> Path:
    """Write the ledger to `path` as it was when the brief of experiment `n` was written, or `n` was merged."""
    restore(path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        at = moment(connection, n)
        for statement in _REWIND.split(";"):
            connection.execute(statement, {"at": at} if ":at" in statement else {})
    return path


def open_before(folder: Path, n: int) -> Ledger:
    """Open the ledger in `folder`/runs as it was before experiment `n`."""
    return Ledger.open(restore_before(folder / "runs" / "ledger.db", n))


def brief_before(folder: Path, n: int) -> Brief:
    """Return the brief that a model would be given now before experiment `n`; `folder` has no program.md."""
    with open_before(folder, n) as ledger:
        context = context_of(ledger, ledger.find_session(TAG))
        evidence, row = Evidence(context, replicates=3), context.row
        lessons = LessonChooser(Lessons.locate(context.runs, row.identity, row.settings), ledger=None)
        referee = CellReferee(SETTINGS, DATA)
        return Briefing(context, evidence, folder / "program.md", lessons, True, referee).write(n)


def moment(connection: sqlite3.Connection, n: int) -> float:
    """Return when the brief of an experiment was written, or when it was merged (unix seconds)."""
    asked = "SELECT min(started) FROM calls WHERE n = ? AND purpose = 'propose'"
    merged = "SELECT started FROM experiments WHERE n = ?"
    return float(connection.execute(f"SELECT coalesce(({asked}), ({merged}))", (n, n)).fetchone()[0])


@cache
def _sql() -> str:
    return lzma.decompress(FIXTURE.read_bytes()).decode()
