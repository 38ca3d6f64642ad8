"""Queries about the experiments of a session, each in a fixed number of SQL statements."""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from autoresearch.errors import require
from autoresearch.files import JsonObject
from autoresearch.ledger.baselines import baseline
from autoresearch.ledger.owner import is_alive
from autoresearch.ledger.reviews import reviews
from autoresearch.ledger.rows import (
    AFTERWARDS,
    CONVERSATION,
    FILLER,
    POOLED,
    TRANSFER,
    Experiment,
    Session,
    read_near_miss,
)
from autoresearch.ledger.scores import standard_errors
from autoresearch.ledger.store import Ledger
from autoresearch.metric import VAL_BPB, Metric
from autoresearch.text import plausible

KEYS = (
    *("n", "sha", "parent", "baseline", "origin", "line", "mode", "state", "verdict", "reason", "near_miss"),
    *(
        "val_bpb",
        "delta",
        "sigma",
        "p_gain",
        "trials",
        "grade",
        "arm",
        "agent",
        "model",
        "category",
        "hypothesis",
        "change",
        "predicted",
    ),
    *("lines_added", "lines_removed", "num_params", "params_added", "cost_usd", "program_hash", "started", "settled"),
    *("seconds", "simpler", "review", "error", "conversation", "pooled"),
)
RECENT_TRIALS = 20  # that tell how long the next one takes
WHOLE = ("ok", "suspect", "timeout")  # outcomes of trials that were not cut short
NO_EXAMPLES = (*AFTERWARDS, FILLER)  # purposes of trials that do not show how long a candidate's take
FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")  # a spreadsheet runs a cell that begins so
# large columns that no list shows
UNREAD: JsonObject = {"text": None, "numbers": None, "shape": None, "fingerprint": None, "params": {}}
COLUMNS = ", ".join(f"e.{field.name}" for field in fields(Experiment) if field.name not in UNREAD)

_LOG = f"""
    WITH t AS MATERIALIZED (
      SELECT experiment_id, sum(outcome IS NOT NULL AND outcome != 'infra') AS trials,
             sum(ended - started) AS seconds, max(num_params) AS num_params,
             CASE WHEN min(grade = 'STRONG') THEN 'STRONG' WHEN count(grade) THEN 'WEAK' END AS grade
      FROM trials WHERE session_id = :session AND purpose NOT IN {AFTERWARDS} GROUP BY experiment_id
    )
    SELECT {COLUMNS}, coalesce(t.trials, 0) AS trials, t.grade, t.num_params,
           coalesce(t.seconds, 0.0) AS seconds, json_extract(e.params, '$.{CONVERSATION}') AS conversation,
           json_extract(e.params, '$.{POOLED}') AS params
    FROM experiments AS e
    LEFT JOIN t ON t.experiment_id = e.id
    WHERE e.session_id = :session AND (:every OR e.verdict IN (SELECT value FROM json_each(:verdicts)))
    ORDER BY e.n
"""

_LINEAGE = f"""
    SELECT n, parent, mode, verdict, reason, settled, t.num_params FROM experiments
    LEFT JOIN (
      SELECT experiment_id, max(num_params) AS num_params FROM trials
      WHERE session_id = :session AND purpose NOT IN {AFTERWARDS} GROUP BY experiment_id
    ) AS t ON t.experiment_id = experiments.id
    WHERE session_id = :session ORDER BY n
"""

_TSV = f"""
    SELECT n, sha, verdict, val_bpb, hypothesis, reason, t.peak_mb
    FROM experiments
    LEFT JOIN (
      SELECT experiment_id, max(peak_mb) AS peak_mb
      FROM trials WHERE session_id = :session AND purpose != '{TRANSFER}' GROUP BY experiment_id
    ) AS t ON t.experiment_id = experiments.id
    WHERE session_id = :session AND state = 'settled'
      AND NOT (verdict = 'discard' AND val_bpb IS NULL AND delta IS NULL AND p_gain IS NULL)
    ORDER BY n
"""

_STEPS = """
    SELECT n, avg(json_extract(result, '$.reported.step')) AS steps
    FROM experiments AS e JOIN trials ON trials.experiment_id = e.id
    WHERE e.session_id = :session AND n > :after AND outcome != 'infra'
      AND purpose IN ('base', 'screen', 'rerun', 'sentinel')
    GROUP BY n
"""

_LASTED = f"""
    SELECT json_extract(result, '$.total_seconds') AS seconds FROM trials
    WHERE session_id = :session AND outcome IN {WHOLE} AND purpose NOT IN {NO_EXAMPLES}
    ORDER BY id DESC LIMIT :count
"""

_PACE = f"""
    SELECT avg(seconds) AS trial FROM (
      SELECT json_extract(result, '$.total_seconds') AS seconds FROM trials
      WHERE session_id = :session AND ended IS NOT NULL AND purpose NOT IN {NO_EXAMPLES} ORDER BY id DESC LIMIT :trials
    )
"""

# The seconds of one conversation; where it gives several proposals, each has an event of its own too.
_LATENCY = f"""
    SELECT avg(seconds) AS seconds FROM (
      SELECT json_extract(data, '$.seconds') AS seconds FROM events
      WHERE session_id = :session AND kind IN ('proposed', 'broken', 'conversed')
        AND json_extract(data, '$.{CONVERSATION}') IS NULL
      ORDER BY id DESC LIMIT :proposals
    )
"""


@dataclass(frozen=True)
class PaceOfWork:
    """Recent mean seconds of a trial, and of one conversation with the agent; None where nothing was measured yet."""

    trial: float | None
    conversation: float | None


@dataclass(frozen=True)
class ExperimentRow(Experiment):
    """An experiment without its large columns, with sums over its ended trials."""

    trials: int
    grade: str | None
    num_params: float | None  # numbers in the checkpoint
    params_added: float | None  # more than in that of `baseline`
    seconds: float
    review: str | None
    error: float | None  # standard error of `delta`
    baseline: int | None  # the version against whose mean `delta` is
    conversation: int | None = None  # the first experiment of the conversation in which several were proposed
    metric: Metric = VAL_BPB

    def as_json(self) -> JsonObject:
        """Return what `log --json` prints (docs/json.md)."""
        return {name: getattr(self, name) for name in KEYS}


def experiment_rows(ledger: Ledger, session: Session, *verdicts: str) -> list[ExperimentRow]:
    """Return the experiments of a session, oldest first, all or those of some verdicts."""
    found = ledger.query(_LOG, session=session.id, every=not verdicts, verdicts=json.dumps(verdicts))
    names = found[0].keys() if found else []
    errors, by_n, metric = standard_errors(ledger, session), reviews(ledger, session.id), session.metric
    rows = []
    for each in found:
        n, near_miss = each["n"], read_near_miss(each["near_miss"], each["p_gain"])
        review = by_n[n].word if n in by_n else None
        rows.append(row := _new_row(names, each))
        params = {POOLED: json.loads(each["params"])} if each["params"] else {}
        more = {"review": review, "error": errors.get(n), "near_miss": near_miss, "params": params, "metric": metric}
        vars(row).update(UNREAD | more)
    _compare_with_baselines(rows, {row.n: row for row in (rows if not verdicts else _read_lineage(ledger, session))})
    return rows


def _new_row(names: Sequence[str], values: sqlite3.Row) -> ExperimentRow:
    row = ExperimentRow.__new__(ExperimentRow)  # 5x faster than the constructor
    vars(row).update(zip(names, values, strict=True))
    return row


def _read_lineage(ledger: Ledger, session: Session) -> list[ExperimentRow]:
    """Return all experiments with the columns that `baseline` reads, and parameters."""
    found = ledger.query(_LINEAGE, session=session.id)
    return [_new_row(found[0].keys(), each) for each in found]


def _compare_with_baselines(rows: Sequence[ExperimentRow], lineage: Mapping[int, ExperimentRow]) -> None:
    """Set `baseline` and `params_added`."""
    for row in rows:
        before = baseline(row, lineage)
        known = before is not None and None not in (row.num_params, before.num_params)
        added = require(row.num_params) - require(before.num_params) if known and before else None
        vars(row).update(baseline=before.n if before else None, params_added=added)


def newest(ledger: Ledger, session: Session) -> int | None:
    """Return the number of the last experiment; None before the base."""
    sql = "SELECT max(n) AS n FROM experiments WHERE session_id = :session"
    number: int | None = ledger.query(sql, session=session.id)[0]["n"]
    return number


def find_merge(ledger: Ledger, session: Session, origin: int) -> int | None:
    """Return the experiment that repeats the change of `origin` on a newer incumbent."""
    sql = "SELECT n FROM experiments WHERE session_id = :session AND origin = :origin"
    return next((int(row["n"]) for row in ledger.query(sql, session=session.id, origin=origin)), None)


def count_settled(ledger: Ledger, session: Session) -> int:
    """Count the settled experiments, without the base."""
    sql = "SELECT count(*) FROM experiments WHERE session_id = :session AND n > 0 AND state = 'settled'"
    return int(ledger.query(sql, session=session.id)[0][0])


def trial_seconds(ledger: Ledger, session: Session) -> list[float]:
    """Return the length of each of the last whole trials, by the referee's monotonic clock."""
    rows = ledger.query(_LASTED, session=session.id, count=RECENT_TRIALS)
    return [float(row["seconds"] or 0.0) for row in rows]


def trained_steps(ledger: Ledger, session: Session, after: int = -1) -> dict[int, float]:
    """Return the mean steps of the trials of each experiment with a number above `after`, as train.py reported them."""
    found = ledger.query(_STEPS, session=session.id, after=after)
    return {row["n"]: steps for row in found if (steps := plausible(row["steps"])) is not None}


def pace_of_work(ledger: Ledger, session: Session, proposals: int) -> PaceOfWork:
    """Return the means of the last trials and of the last `proposals` conversations."""
    times = ledger.query(_PACE, session=session.id, trials=RECENT_TRIALS)[0]
    latency = ledger.query(_LATENCY, session=session.id, proposals=proposals)[0]
    return PaceOfWork(times["trial"], latency["seconds"])


def current(ledger: Ledger) -> Session | None:
    """Return the default session: the one that runs, else the one that was worked on last."""
    running = [session for session in ledger.sessions() if is_alive(session) and session.state != "ended"]
    sql = "SELECT tag FROM sessions LEFT JOIN spans ON spans.session_id = sessions.id ORDER BY coalesce(began, created)"
    latest = [row["tag"] for row in ledger.query(f"{sql} DESC, sessions.id DESC LIMIT 1")]
    return running[-1] if running else ledger.session(latest[0]) if latest else None


def results_tsv(ledger: Ledger, session: Session) -> str:
    """Return the settled experiments in the columns of the original's results.tsv; the second has the metric's name.

    The original has only keep, discard and crash. An experiment without a score is written as a crash with zeros; the
    description has its verdict. One that was never run has no line there, as in the original; one whose trial was
    stopped early is a discard, and its score is not a number.
    """
    metric = session.metric
    lines = [f"commit\t{metric.name}\tmemory_gb\tstatus\tdescription"]
    for row in ledger.query(_TSV, session=session.id):
        stopped = row["verdict"] == "discard" and row["val_bpb"] is None
        ran = stopped or row["val_bpb"] is not None
        status = row["verdict"] if row["verdict"] == "keep" else "discard" if ran else "crash"
        memory = (row["peak_mb"] or 0.0) / 1024 if ran else 0.0
        score = "nan" if stopped else metric.exact_score(row["val_bpb"] or 0.0)
        lines.append("\t".join([(row["sha"] or "")[:7], score, f"{memory:.1f}", status, _description(row)]))
    return "\n".join(lines) + "\n"


def _description(row: sqlite3.Row) -> str:
    words = "baseline" if row["n"] == 0 else row["hypothesis"] or f"experiment {row['n']}"
    if row["verdict"] in ("invalid", "duplicate", "suspect"):
        words = f"{words} ({row['verdict']}: {row['reason']})"
    if not words.isprintable():  # control characters, which a terminal obeys
        words = "".join(char if char.isprintable() else " " for char in words)
    cell = " ".join(words.replace('"', "'").split())  # a reader of TSV takes " for the start of a quoted field
    return f"'{cell}" if cell.startswith(FORMULA) else cell


def has_event_in_this_run(ledger: Ledger, session: Session, kind: str) -> bool:
    """Return whether there is an event of a kind since the last process began to work on a session."""
    (began,) = ledger.query("SELECT max(began) AS began FROM spans WHERE session_id = :session", session=session.id)
    return any(event.at >= (began["began"] or 0) for event in ledger.events(session.id, kind=kind))
