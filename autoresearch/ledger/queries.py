"""Questions that views ask the ledger: a fixed number of SQL statements each, however long the session."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from autoresearch.ledger import owner
from autoresearch.ledger.reviews import reviews
from autoresearch.ledger.rows import AFTERWARDS, LESS_CODE, Session, simpler
from autoresearch.ledger.scores import standard_errors
from autoresearch.ledger.store import MESSAGES, Ledger

Span = tuple[float, float, int]  # from when to when a process worked on a session, and on how many slots
LATER = ("review", "ablation", "total")  # events of commands that may come long after the night

_LOG = f"""
    WITH t AS MATERIALIZED (
      SELECT experiment_id, sum(outcome IS NOT NULL AND outcome != 'infra') AS trials,
             sum(ended - started) AS seconds, max(num_params) AS num_params,
             CASE WHEN min(grade = 'STRONG') THEN 'STRONG' WHEN count(grade) THEN 'WEAK' END AS grade
      FROM trials WHERE session_id = :session AND purpose NOT IN {AFTERWARDS} GROUP BY experiment_id
    )
    SELECT e.n, e.sha, e.parent, e.origin, e.line, e.mode, e.state, e.verdict, e.reason, e.near_miss, e.val_bpb,
           e.delta, e.sigma, e.p_gain, coalesce(t.trials, 0) AS trials, t.grade, e.agent, e.model, e.category,
           e.hypothesis, e.change, e.predicted, e.lines_added, e.lines_removed, t.num_params,
           t.num_params - before.num_params AS params_added, e.cost_usd, e.program_hash, e.started, e.settled,
           coalesce(t.seconds, 0.0) AS seconds
    FROM experiments AS e
    LEFT JOIN experiments AS parent ON parent.session_id = :session AND parent.n = e.parent
    LEFT JOIN t ON t.experiment_id = e.id
    LEFT JOIN t AS before ON before.experiment_id = parent.id
    WHERE e.session_id = :session AND (:every OR e.verdict IN (SELECT value FROM json_each(:verdicts)))
    ORDER BY e.n
"""

_TSV = """
    SELECT n, sha, verdict, val_bpb, hypothesis, reason, t.peak_mb
    FROM experiments
    LEFT JOIN (
      SELECT experiment_id, max(peak_mb) AS peak_mb
      FROM trials WHERE session_id = :session GROUP BY experiment_id
    ) AS t ON t.experiment_id = experiments.id
    WHERE session_id = :session AND state = 'settled'
    ORDER BY n
"""

_COUNTS = f"""
    SELECT verdict, count(*) AS count, sum(reason LIKE '{LESS_CODE}%') AS simpler FROM experiments
    WHERE session_id = :session AND n > 0 AND state = 'settled' GROUP BY verdict
"""

# The incumbent is the keep that was settled last: a keep that only simplifies may score a little worse.
_SCORES = """
    SELECT (SELECT avg(val_bpb) FROM trials
            WHERE experiment_id = (SELECT id FROM experiments WHERE session_id = :session AND n = 0)
            AND purpose = 'base' AND outcome = 'ok') AS base_bpb,
           (SELECT sigma FROM experiments WHERE session_id = :session AND sigma IS NOT NULL
            ORDER BY n DESC LIMIT 1) AS sigma,
           best.n AS best, best.val_bpb AS best_bpb, best.sha AS best_sha
    FROM (SELECT 1)
    LEFT JOIN (
      SELECT n, val_bpb, sha FROM experiments
      WHERE session_id = :session AND verdict = 'keep' AND state = 'settled'
      ORDER BY settled DESC, n DESC LIMIT 1
    ) AS best ON true
"""

# Calls are what costs; an agent that only says what a proposal cost counts where there are none.
_COST = """
    SELECT coalesce(sum(cost), 0.0) AS cost, coalesce(sum(unknown), 0) AS unknown FROM (
      SELECT cost_usd AS cost, cost_usd IS NULL AS unknown FROM calls WHERE session_id = :session
      UNION ALL
      SELECT cost_usd, 0 FROM experiments WHERE session_id = :session
        AND n NOT IN (SELECT n FROM calls WHERE session_id = :session AND n IS NOT NULL)
    )
"""

_TIMES = f"""
    SELECT coalesce(sum(train_seconds), 0.0) AS train, coalesce(sum(score_seconds), 0.0) AS score,
           coalesce(sum(setup_seconds), 0.0) AS setup, sum(:now - started) FILTER (WHERE outcome IS NULL) AS running,
           (SELECT coalesce(sum(json_extract(data, '$.seconds')), 0.0) FROM events
            WHERE session_id = :session AND kind = 'waited') AS agent_wait
    FROM trials WHERE session_id = :session AND purpose NOT IN {AFTERWARDS}
"""

_TOTALS = "SELECT started, ended FROM trials WHERE session_id = :session AND purpose = 'total'"

_TOTAL = "SELECT data FROM events WHERE session_id = :session AND kind = 'total' ORDER BY id DESC LIMIT 1"

_RUNNING = """
    SELECT n, purpose, seed, trials.started,
           (SELECT count(*) - 1 FROM trials INDEXED BY trials_briefly
            WHERE session_id = :session AND outcome IS NULL) AS others
    FROM trials JOIN experiments ON experiments.id = experiment_id
    WHERE trials.id = (
      SELECT min(id) FROM trials INDEXED BY trials_briefly WHERE session_id = :session AND outcome IS NULL
    )
"""

_DRIFT = "SELECT n, at, text FROM events WHERE session_id = :session AND kind = 'drift' ORDER BY id DESC LIMIT 1"

_ENDED = "SELECT text FROM events WHERE session_id = :session AND kind = 'ended' ORDER BY id DESC LIMIT 1"

_LOST = "SELECT count(*) AS lost FROM trials WHERE session_id = :session AND outcome = 'infra'"

# When each process began to work on the session, on how many slots, and when it was last heard of; not what came after.
# The last that is heard of a night is that it ended, after its honest total.
_SPANS = f"""
    WITH heard AS (
      SELECT at FROM events WHERE session_id = :session AND kind NOT IN {(*MESSAGES, *LATER)}
      UNION ALL SELECT coalesce(ended, started) FROM trials WHERE session_id = :session AND purpose NOT IN {AFTERWARDS}
    ), span AS (
      SELECT began, slots, lead(began) OVER (ORDER BY id) AS next FROM spans WHERE session_id = :session
    )
    SELECT began, slots, (SELECT max(at) FROM heard WHERE at >= began AND (next IS NULL OR at < next)) AS seen
    FROM span ORDER BY began
"""

_LASTED = f"""
    SELECT json_extract(result, '$.total_seconds') AS seconds FROM trials
    WHERE session_id = :session AND ended IS NOT NULL AND purpose NOT IN {AFTERWARDS} ORDER BY id DESC LIMIT :count
"""


def newest(ledger: Ledger, session: Session) -> int | None:
    """The number of the last experiment; None before the base."""
    sql = "SELECT max(n) AS n FROM experiments WHERE session_id = :session"
    number: int | None = ledger.query(sql, session=session.id)[0]["n"]
    return number


def merged(ledger: Ledger, session: Session, origin: int) -> int | None:
    """The experiment that makes the change of another one to a newer incumbent."""
    sql = "SELECT n FROM experiments WHERE session_id = :session AND origin = :origin"
    return next((int(row["n"]) for row in ledger.query(sql, session=session.id, origin=origin)), None)


def decided(ledger: Ledger, session: Session) -> int:
    """How many experiments are settled, without the base."""
    sql = "SELECT count(*) FROM experiments WHERE session_id = :session AND n > 0 AND state = 'settled'"
    return int(ledger.query(sql, session=session.id)[0][0])


def lasted(ledger: Ledger, session: Session, count: int) -> list[float]:
    """Seconds that each of the last `count` trials took, by the referee's own clock: nobody sets that one."""
    rows = ledger.query(_LASTED, session=session.id, count=count)
    return [float(row["seconds"] or 0.0) for row in rows]


def log_rows(ledger: Ledger, session: Session, *verdicts: str) -> list[dict[str, Any]]:
    """The experiments of a session, oldest first, all or those of some verdicts, as `log --json` shows them.

    `trials` counts those that ended by themselves; `seconds` is their whole time.
    """
    found = ledger.query(_LOG, session=session.id, every=not verdicts, verdicts=json.dumps(verdicts))
    names = found[0].keys() if found else []
    rows = [dict(zip(names, row, strict=True)) for row in found]
    errors, said = standard_errors(ledger, session), reviews(ledger, session.id)
    for row in rows:
        row["near_miss"] = bool(row["near_miss"])
        row["simpler"] = simpler(row["verdict"], row["reason"])
        row["review"] = said[row["n"]].word if row["n"] in said else None
        row["error"] = errors.get(row["n"])
    return rows


def status(ledger: Ledger, session: Session, now: float) -> dict[str, Any]:
    """Where a session stands at `now` (unix seconds), as `status --json` shows it.

    `state` is interrupted where the process of an unfinished session is gone. `experiments`, `kept` and
    `verdicts` leave out the base. `cost_usd` is None if the cost of any call is unknown, `trial` if none runs.
    """
    counts = ledger.query(_COUNTS, session=session.id)
    verdicts = {row["verdict"]: row["count"] for row in counts}
    said = Counter(review.word for review in reviews(ledger, session.id).values())
    drift = ledger.query(_DRIFT, session=session.id)
    scores = dict(ledger.query(_SCORES, session=session.id)[0])
    cost = ledger.query(_COST, session=session.id)[0]
    worked = _worked(ledger, session, now)
    return {
        "tag": session.tag,
        "branch": session.branch,
        "state": owner.state(session),
        "stop_reason": session.stop_reason,
        "error": _error(ledger, session),
        "agent": session.agent,
        "judge": session.judge,
        "budget": session.settings.get("budget"),
        "grade": session.grade,
        "experiments": sum(verdicts.values()),
        "kept": verdicts.get("keep", 0),
        "simpler": sum(row["simpler"] or 0 for row in counts if row["verdict"] == "keep"),
        "reviews": {word: said[word] for word in ("accepted", "rejected")},
        "verdicts": verdicts,
        **scores,
        "total": _total(ledger, session),
        "started": session.started,
        "deadline": session.deadline,
        "ended": session.ended,
        "cost_usd": None if cost["unknown"] else cost["cost"],
        "trial": _running(ledger, session),
        "seconds": sum(seen - began for began, seen, _ in worked),
        "slots": max((slots for _, _, slots in worked), default=1),
        "time_split": _time_split(ledger, session, now, worked),
        "lost": ledger.query(_LOST, session=session.id)[0]["lost"],
        "drift": dict(drift[0]) if drift else None,
    }


def current(ledger: Ledger) -> Session | None:
    """The session that is meant where none is named: the running one, else the one that was worked on last."""
    running = [session for session in ledger.sessions() if owner.is_alive(session) and session.state != "ended"]
    sql = "SELECT tag FROM sessions LEFT JOIN spans ON spans.session_id = sessions.id ORDER BY coalesce(began, created) DESC"
    latest = [row["tag"] for row in ledger.query(f"{sql}, sessions.id DESC LIMIT 1")]
    return running[-1] if running else ledger.session(latest[0]) if latest else None


def _error(ledger: Ledger, session: Session) -> str | None:
    """What the program said when it ended with an error."""
    rows = ledger.query(_ENDED, session=session.id) if session.stop_reason == "error" else []
    return rows[0]["text"] if rows else None


def _total(ledger: Ledger, session: Session) -> dict[str, Any] | None:
    """The honest total as it was measured last, on the validation split: of which experiment, and its interval."""
    rows = ledger.query(_TOTAL, session=session.id)
    found = json.loads(rows[0]["data"]) if rows else {}
    return {"final": found["final"], **found["val"]} if "val" in found and "final" in found else None


def _running(ledger: Ledger, session: Session) -> dict[str, Any] | None:
    """The trial that runs now, for longest if there are several: of which experiment, since when, how many others."""
    rows = ledger.query(_RUNNING, session=session.id) if owner.is_alive(session) else []
    return dict(rows[0]) if rows else None


def _time_split(ledger: Ledger, session: Session, now: float, worked: Sequence[Span]) -> dict[str, float]:
    """Seconds of slots by what they were spent on: train, score, setup, agent_wait, total, and idle for the rest.

    Only time in which a process `worked` on the session counts: `total` is the honest total at its end, and not one
    that was asked for afterwards. A trial that runs now counts as training.
    """
    split: dict[str, float] = dict(ledger.query(_TIMES, session=session.id, now=now)[0])
    running = split.pop("running")
    if running is not None and owner.is_alive(session):
        split["train"] += running
    totals = [(row["started"], row["ended"] or row["started"]) for row in ledger.query(_TOTALS, session=session.id)]
    split["total"] = sum(b - a for a, b in totals if any(began <= a <= seen for began, seen, _ in worked))
    split["idle"] = max(0.0, sum(slots * (seen - began) for began, seen, slots in worked) - sum(split.values()))
    return split


def _worked(ledger: Ledger, session: Session, now: float) -> list[Span]:
    """From when to when a process worked on the session, and on how many slots, each time."""
    rows = ledger.query(_SPANS, session=session.id)
    spans = [(row["began"], row["seen"] or row["began"], row["slots"]) for row in rows]
    if spans and session.ended is not None:
        spans[-1] = spans[-1][0], session.ended, spans[-1][2]
    elif spans and owner.is_alive(session):
        spans[-1] = spans[-1][0], now, spans[-1][2]
    return [(began, max(began, seen), slots) for began, seen, slots in spans]


def results_tsv(ledger: Ledger, session: Session) -> str:
    """The settled experiments in the original's columns: commit, val_bpb, memory_gb, status, description.

    The original knows keep, discard and crash only; what has no score is a crash there, with zeros, and the
    description says what it really was.
    """
    lines = ["commit\tval_bpb\tmemory_gb\tstatus\tdescription"]
    for row in ledger.query(_TSV, session=session.id):
        scored = row["val_bpb"] is not None
        status = row["verdict"] if row["verdict"] == "keep" else "discard" if scored else "crash"
        memory = (row["peak_mb"] or 0.0) / 1024 if scored else 0.0
        score = f"{row['val_bpb'] or 0.0:.6f}"
        lines.append("\t".join([(row["sha"] or "")[:7], score, f"{memory:.1f}", status, _described(row)]))
    return "\n".join(lines) + "\n"


def _described(row: Any) -> str:
    words = "baseline" if row["n"] == 0 else row["hypothesis"] or f"experiment {row['n']}"
    if row["verdict"] in ("invalid", "duplicate", "suspect"):
        words = f"{words} ({row['verdict']}: {row['reason']})"
    if not words.isprintable():  # a terminal obeys some of what is not
        words = "".join(char if char.isprintable() else " " for char in words)
    return " ".join(
        words.replace('"', "'").split()
    )  # whoever reads the table takes a " for the beginning of a quotation
