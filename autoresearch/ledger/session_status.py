"""State of a session: scores, counts, time and cost, in a fixed number of SQL statements."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from autoresearch.files import JsonObject
from autoresearch.ledger.metrics import settle_metric
from autoresearch.ledger.node_trials import NODES, NodeTrials, trials_by_node
from autoresearch.ledger.owner import is_alive, state
from autoresearch.ledger.reviews import reviews
from autoresearch.ledger.rows import (
    AFTERWARDS,
    CONVERSATION,
    FILLER,
    LESS_CODE,
    SAME_FUNCTION,
    Session,
    StartedFrom,
)
from autoresearch.ledger.scores import NEWEST_SIGMA
from autoresearch.ledger.store import MESSAGES, Ledger
from autoresearch.metric import VAL_BPB, Metric

TARGET, REACHED = "target", "reached"  # kinds of events: the target of a run, and that a version is below it
Span = tuple[float, float, int]  # start and end of a process's work on a session, and its number of slots
_OF_SESSION = (
    *("tag", "branch", "started_from", "evaluator", "stop_reason", "agent", "judge", "grade"),
    *("started", "deadline", "ended"),
)
POWER_EVENT = "power"  # kind of the event that says which gain a session can show
# kinds of events that commands may add long after the session
LATER = ("review", "ablation", "total", "transfer", "demoted")

_COUNTS = f"""
    SELECT verdict, count(*) AS count, sum(reason LIKE '{LESS_CODE}%' OR reason LIKE '{SAME_FUNCTION}%') AS simpler,
           sum(verdict = 'discard' AND val_bpb IS NULL AND delta IS NULL AND p_gain IS NULL) AS unmeasured
    FROM experiments WHERE session_id = :session AND n > 0 AND state = 'settled' GROUP BY verdict
"""

_KEPT = "SELECT n FROM experiments WHERE session_id = :session AND verdict = 'keep'"

# The newest total counts while its final version is kept.
# The incumbent is the newest keep: one that only simplifies may score a little worse.
_FACTS = f"""
    SELECT (SELECT coalesce(base.val_bpb, (SELECT avg(val_bpb) FROM trials
            WHERE experiment_id = base.id AND purpose = 'base' AND outcome = 'ok'))
            FROM experiments AS base WHERE session_id = :session AND n = 0) AS base_bpb,
           ({NEWEST_SIGMA}) AS sigma,
           (SELECT data FROM events WHERE session_id = :session AND kind = 'total'
            AND json_extract(data, '$.final') IN ({_KEPT}) ORDER BY id DESC LIMIT 1) AS total,
           (SELECT text FROM events WHERE session_id = :session AND kind = 'ended' ORDER BY id DESC LIMIT 1) AS error,
           (SELECT count(*) FROM trials
            WHERE session_id = :session AND outcome = 'infra' AND purpose != '{FILLER}') AS lost,
           best.n AS best, best.val_bpb AS best_bpb, best.sha AS best_sha
    FROM (SELECT 1)
    LEFT JOIN (
      SELECT n, val_bpb, sha FROM experiments
      WHERE session_id = :session AND verdict = 'keep' AND state = 'settled'
      ORDER BY n DESC LIMIT 1
    ) AS best ON true
"""

# What an agent says that a proposal cost counts only where no call is recorded for it.
_COST = f"""
    SELECT coalesce(sum(cost), 0.0) AS cost, coalesce(sum(unknown), 0) AS unknown,
           json_group_array(DISTINCT model) FILTER (WHERE unknown) AS unpriced FROM (
      SELECT cost_usd AS cost, cost_usd IS NULL AS unknown, model FROM calls WHERE session_id = :session
      UNION ALL
      SELECT cost_usd, 0, NULL FROM experiments WHERE session_id = :session
        AND coalesce(json_extract(params, '$.{CONVERSATION}'), n)
            NOT IN (SELECT n FROM calls WHERE session_id = :session AND n IS NOT NULL)
    )
"""

_TIMES = f"""
    SELECT coalesce(sum(train_seconds) FILTER (WHERE purpose != '{FILLER}'), 0.0) AS train,
           coalesce(sum(score_seconds) FILTER (WHERE purpose != '{FILLER}'), 0.0) AS score,
           coalesce(sum(setup_seconds) FILTER (WHERE purpose != '{FILLER}'), 0.0) AS setup,
           coalesce(sum(ended - started) FILTER (WHERE purpose = '{FILLER}'), 0.0) AS filler,
           sum(:now - started) FILTER (WHERE outcome IS NULL AND purpose != '{FILLER}') AS running,
           sum(:now - started) FILTER (WHERE outcome IS NULL AND purpose = '{FILLER}') AS filling,
           (SELECT coalesce(sum(json_extract(data, '$.seconds')), 0.0) FROM events
            WHERE session_id = :session AND kind = 'waited') AS agent_wait
    FROM trials WHERE session_id = :session AND purpose NOT IN {AFTERWARDS}
"""

_TOTALS = "SELECT started, ended FROM trials WHERE session_id = :session AND purpose = 'total'"

_RUNNING = """
    SELECT n, purpose, seed, trials.started,
           (SELECT count(*) - 1 FROM trials INDEXED BY trials_briefly
            WHERE session_id = :session AND outcome IS NULL) AS others
    FROM trials JOIN experiments ON experiments.id = experiment_id
    WHERE trials.id = (
      SELECT min(id) FROM trials INDEXED BY trials_briefly WHERE session_id = :session AND outcome IS NULL
    )
"""

# A target is reached when a version that is still kept was below it for the first time.
_TARGET = f"""
    SELECT json_extract(aim.data, '$.val_bpb') AS val_bpb, hit.n,
           json_extract(hit.data, '$.seconds') AS seconds, json_extract(hit.data, '$.experiments') AS experiments
    FROM (SELECT data FROM events WHERE session_id = :session AND kind = '{TARGET}' ORDER BY id DESC LIMIT 1) AS aim
    LEFT JOIN events AS hit ON hit.session_id = :session AND hit.kind = '{REACHED}' AND hit.n IN ({_KEPT})
      AND json_extract(hit.data, '$.val_bpb') = json_extract(aim.data, '$.val_bpb')
    WHERE json_extract(aim.data, '$.val_bpb') IS NOT NULL ORDER BY hit.id LIMIT 1
"""

_DRIFT = "SELECT n, at, text FROM events WHERE session_id = :session AND kind = 'drift' ORDER BY id DESC LIMIT 1"

_POWER = f"""
    SELECT json_extract(data, '$.gain'), json_extract(data, '$.experiments') FROM events
    WHERE session_id = :session AND kind = '{POWER_EVENT}' ORDER BY id DESC LIMIT 1
"""

# Each process: its start, its slots, and the last record of its work (events after the session aside).
# The last record of a session is that it ended, after its honest total.
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


@dataclass(frozen=True)
class MeanDifference:
    """A mean difference (negative is better) and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class TotalOnRecord:
    """The newest honest total on val: the final experiment, mean and 95 % interval; and that on holdout."""

    final: int
    mean: float
    low: float
    high: float
    holdout: MeanDifference | None = None


@dataclass(frozen=True)
class RunningTrial:
    """The trial that has run for longest; `others` run on other slots."""

    n: int
    purpose: str
    seed: int
    started: float
    others: int


@dataclass(frozen=True)
class TargetOnRecord:
    """The newest target; once it is reached, by which experiment, and the seconds and experiments that it took."""

    val_bpb: float
    n: int | None
    seconds: float | None
    experiments: int | None


@dataclass(frozen=True)
class Drift:
    """A jump of the incumbent's score between trials."""

    n: int | None
    at: float
    text: str


@dataclass(frozen=True)
class PowerOnRecord:
    """The gain, on the scale of the metric, that is kept with a probability of 80 %, and a number of experiments.

    These are what the session affords, after it those that it had. `experiments` is None where trials have no known
    duration.
    """

    gain: float
    experiments: int | None


@dataclass(frozen=True)
class SessionStatus:
    """State of a session. The fields are the keys of `status --json` (docs/json.md).

    `state` is `interrupted` where the process of an unfinished session is gone. `experiments`, `kept` and `verdicts`
    leave out the base. `unmeasured` were superseded, or lost to the deadline. `cost_usd` is None if the cost of any
    call is unknown; `unpriced` are the models of such calls.
    """

    tag: str
    branch: str
    started_from: StartedFrom | None
    evaluator: int
    state: str
    stop_reason: str | None
    error: str | None
    agent: str
    judge: str
    budget: str | None
    grade: str | None
    experiments: int
    kept: int
    simpler: int
    unmeasured: int
    reviews: dict[str, int]
    verdicts: dict[str, int]
    base_bpb: float | None
    sigma: float | None
    best: int | None
    best_bpb: float | None
    best_sha: str | None
    total: TotalOnRecord | None
    target: TargetOnRecord | None
    started: float | None
    deadline: float | None
    ended: float | None
    cost_usd: float | None
    unpriced: list[str]
    trial: RunningTrial | None
    seconds: float
    slots: int
    time_split: dict[str, float]
    lost: int
    drift: Drift | None
    power: PowerOnRecord | None = None
    metric: Metric = VAL_BPB
    belief: str | None = None  # word for what may be believed, where a command measures
    has_holdout: bool = True
    nodes: tuple[NodeTrials, ...] = ()  # that ran trials, where a cluster did

    def as_json(self) -> JsonObject:
        return asdict(self)


def status(ledger: Ledger, session: Session, now: float) -> SessionStatus:
    """Return the state of a session at `now` (unix seconds)."""
    counts = ledger.query(_COUNTS, session=session.id)
    verdicts = {row["verdict"]: row["count"] for row in counts}
    kept = {row["n"] for row in ledger.query(_KEPT, session=session.id)}
    words = Counter(review.word for n, review in reviews(ledger, session.id).items() if n in kept)
    facts = dict(ledger.query(_FACTS, session=session.id)[0])
    total, error = json.loads(facts.pop("total") or "{}"), facts.pop("error")
    running = ledger.query(_RUNNING, session=session.id) if is_alive(session) else []
    drift = ledger.query(_DRIFT, session=session.id)
    power = ledger.query(_POWER, session=session.id)
    cost = ledger.query(_COST, session=session.id)[0]
    target = ledger.query(_TARGET, session=session.id)
    spans = _spans(ledger, session, now)
    return SessionStatus(
        **{name: getattr(session, name) for name in _OF_SESSION},
        **facts,
        state=state(session),
        error=error if session.stop_reason == "error" else None,
        budget=session.settings.get("budget"),
        metric=settle_metric(ledger, session),
        belief=session.settings.get("belief"),
        has_holdout=session.settings.get("holdout", True),
        nodes=_nodes(ledger, session),
        experiments=sum(verdicts.values()),
        kept=verdicts.get("keep", 0),
        simpler=sum(row["simpler"] or 0 for row in counts if row["verdict"] == "keep"),
        unmeasured=sum(row["unmeasured"] or 0 for row in counts),
        reviews={word: words[word] for word in ("accepted", "rejected")},
        verdicts=verdicts,
        total=_read_total(total),
        target=TargetOnRecord(*target[0]) if target else None,
        cost_usd=None if cost["unknown"] else cost["cost"],
        unpriced=sorted(filter(None, json.loads(cost["unpriced"]))),
        trial=RunningTrial(*running[0]) if running else None,
        seconds=sum(end - start for start, end, _ in spans),
        slots=max((slots for _, _, slots in spans), default=1),
        time_split=_time_split(ledger, session, now, spans),
        drift=Drift(*drift[0]) if drift else None,
        power=PowerOnRecord(*power[0]) if power else None,
    )


def _nodes(ledger: Ledger, session: Session) -> tuple[NodeTrials, ...]:
    """Return the trials by node of a session on a cluster; other sessions need not read all their results for it."""
    if not ledger.events(session.id, kind=NODES):
        return ()
    return tuple(trials_by_node(ledger.trials(session.id)))


def _read_total(data: JsonObject) -> TotalOnRecord | None:
    if not {"val", "final"} <= data.keys():
        return None
    holdout = MeanDifference(**data["holdout"]) if data.get("holdout") else None
    return TotalOnRecord(final=data["final"], **data["val"], holdout=holdout)


def _time_split(ledger: Ledger, session: Session, now: float, spans: Sequence[Span]) -> dict[str, float]:
    """Split the seconds of slots into train, score, setup, filler, agent_wait, total and idle.

    Only time within `spans` counts: `total` is the honest total at the end of the session, and not one that was asked
    for afterwards. A trial that runs now counts as training, a filler as a filler; `agent_wait` is what fillers left.
    """
    split: dict[str, float] = dict(ledger.query(_TIMES, session=session.id, now=now)[0])
    running, filling = split.pop("running"), split.pop("filling")
    if is_alive(session):
        split["train"] += running or 0.0
        split["filler"] += filling or 0.0
    totals = [(row["started"], row["ended"] or row["started"]) for row in ledger.query(_TOTALS, session=session.id)]
    split["total"] = sum(b - a for a, b in totals if any(start <= a <= end for start, end, _ in spans))
    split["idle"] = max(0.0, sum(slots * (end - start) for start, end, slots in spans) - sum(split.values()))
    return split


def _spans(ledger: Ledger, session: Session, now: float) -> list[Span]:
    """Return when each process worked on the session, and on how many slots."""
    rows = ledger.query(_SPANS, session=session.id)
    spans = [(row["began"], row["seen"] or row["began"], row["slots"]) for row in rows]
    if spans and session.ended is not None:
        spans[-1] = spans[-1][0], session.ended, spans[-1][2]
    elif spans and is_alive(session):
        spans[-1] = spans[-1][0], now, spans[-1][2]
    return [(start, max(start, end), slots) for start, end, slots in spans]
