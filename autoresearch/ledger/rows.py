"""Rows of the ledger as frozen dataclasses, written to SQLite and read back."""

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TypeVar

from autoresearch.files import JsonObject
from autoresearch.ledger.categories import categories_of
from autoresearch.ledger.statements import is_near_miss
from autoresearch.metric import Metric, read_metric
from autoresearch.text import plausible

JSON_COLUMNS = frozenset({"settings", "identity", "layers", "params", "numbers", "result", "data"})
VERDICTS = ("keep", "discard", "crash", "invalid", "duplicate", "suspect")
BROKEN = ("crash", "invalid", "suspect")  # verdicts of experiments that failed
UNSCORED = (*BROKEN, "duplicate")  # verdicts of experiments without a score
LESS_CODE = "less code"  # the judge's reason begins so for a keep that is no gain ...
SAME_FUNCTION = "the same function"  # ... or so
SAME_AS = "same_as"  # in `params`: the experiment whose function this one computes, as a check in a cell found
FOUND_LATER = "found later"  # the reason begins so for a suspect that was kept until then
STOPPED = "stopped"  # outcome of a trial that ended early because its curve said that it had lost
RESUMABLE = ("interrupted", "stopped", "error")  # reasons after which `run` without a tag continues the session
AGENT_EXHAUSTED = "agent exhausted"  # beginning of the reason of a session that ended as nothing more was proposed
FILLER = "filler"  # purpose of a trial that ran only because no candidate was ready
CONVERSATION = "conversation"  # in `params`: the first experiment of the conversation, where several were wanted of it
POOLED = "pooled"  # in `params`: the near misses whose changes a pool has together; its agent and its mode are ...
POOL = "pool"  # ... this
ARCHIVED = "archive"  # mode of a change to a version that the session chose; that is built on the incumbent ...
ARCHIVED_BRANCH = "archive branch"  # ... or not
FROM_ARCHIVE = (ARCHIVED, ARCHIVED_BRANCH)
BRANCHES = ("branch", ARCHIVED_BRANCH)  # modes of a change to a version that is not built on the incumbent
PRESCREEN = "prescreen"  # purpose of a trial of a candidate in the screening pool, and ...
REFERENCE = "reference"  # ... of its incumbent there: such scores are comparable with no other purpose's
ELSEWHERE = (PRESCREEN, REFERENCE)
TRANSFER = "transfer"  # purpose of a trial at a longer budget: its score is comparable with no other purpose's
AFTERWARDS = ("total", "ablate", TRANSFER, "checkpoint")  # purposes of trials after the search, which decide no verdict


@dataclass(frozen=True)
class StartedFrom:
    """The version of another session that is the base of one."""

    tag: str
    n: int

    def __str__(self) -> str:
        return f"started from {self.tag} ({f'experiment {self.n}' if self.n else 'its base: nothing was kept'})"


@dataclass(frozen=True)
class Session:
    """One search. `state` is running, paused or ended, as its process last wrote it."""

    id: int
    tag: str
    branch: str
    base_sha: str
    agent: str
    judge: str
    seed: int
    settings: JsonObject
    identity: JsonObject
    state: str
    stop_reason: str | None
    grade: str | None
    layers: JsonObject
    pid: int | None
    pid_started: float | None
    created: float
    started: float | None
    deadline: float | None
    ended: float | None
    from_tag: str | None = None  # the session whose version is the base
    from_n: int | None = None  # the number of that version
    head: str | None = None  # HEAD at the start, where `base_sha` is the commit of that version

    @property
    def evaluator(self) -> int:
        """Return the evaluator that gave the session's scores; the first one did not record itself everywhere."""
        return int(self.identity.get("evaluator") or 1)

    @property
    def metric(self) -> Metric:
        return read_metric(self.settings)

    @property
    def started_from(self) -> StartedFrom | None:
        return None if self.from_tag is None else StartedFrom(self.from_tag, self.from_n or 0)

    def seed_of(self, *what: object) -> int:
        """Return the fixed seed of something in the session, such as (experiment, trial)."""
        return derive_seed(self.seed, *what)


@dataclass(frozen=True)
class Experiment:
    """One proposed version of train.py; `parent`, `origin`, `line` are other experiments."""

    id: int
    session_id: int
    n: int
    origin: int | None
    parent: int | None
    line: int | None
    mode: str | None
    sha: str | None
    blob: str | None
    fingerprint: str | None
    shape: str | None
    numbers: list[float] | None
    state: str
    verdict: str | None
    reason: str | None
    near_miss: bool
    arm: str | None  # the researcher of a session with several
    agent: str | None
    model: str | None
    category: str | None
    hypothesis: str | None
    change: str | None
    predicted: float | None
    params: JsonObject
    program_hash: str | None
    val_bpb: float | None
    delta: float | None
    sigma: float | None
    p_gain: float | None
    lines_added: int | None
    lines_removed: int | None
    cost_usd: float | None
    started: float
    settled: float | None
    text: str | None

    @property
    def simpler(self) -> bool:
        """Return whether it was kept at the same score, for less code or as the same function, and not for a gain."""
        return self.verdict == "keep" and (self.reason or "").startswith((LESS_CODE, SAME_FUNCTION))

    @property
    def categories(self) -> tuple[str, ...]:
        return categories_of(self.category, self.change)

    @property
    def pooled(self) -> list[int]:
        """Return the near misses whose changes it has together; empty if it is no pool."""
        return list(self.params.get(POOLED) or [])

    @property
    def unmeasured(self) -> bool:
        """Return whether it was dropped before a trial said something: superseded, or lost to the deadline."""
        return is_unmeasured(self.verdict, self.val_bpb, self.delta, self.p_gain)

    @property
    def stopped(self) -> bool:
        """Return whether its curve, or a prescreen, said that it had lost: it has no score."""
        return is_stopped(self.verdict, self.delta, self.p_gain)

    @property
    def found_later(self) -> bool:
        """Return whether it was kept, and a later audit of it, or of what it was built on, failed."""
        return self.verdict == "suspect" and (self.reason or "").startswith(FOUND_LATER)


@dataclass(frozen=True)
class Trial:
    """One training run; `outcome` is None while it runs, `ended` also if it is interrupted."""

    id: int
    session_id: int
    experiment_id: int
    purpose: str
    seed: int
    blob: str
    outcome: str | None
    val_bpb: float | None
    train_seconds: float | None
    setup_seconds: float | None
    score_seconds: float | None
    grade: str | None
    result: JsonObject  # as `Result.as_json` (measure/result.py) gave it, and the identity; {} while it runs
    started: float
    ended: float | None
    num_params: float | None
    peak_mb: float | None
    speed: float | None = None  # of the slot's cores, by the referee's kernel

    @property
    def reason(self) -> str:
        return str(self.result.get("reason") or "")

    @property
    def holdout_bpb(self) -> float | None:
        return self.result.get("holdout_bpb")

    @property
    def resolution(self) -> float:
        """Return the value of the last digit of the number that a command printed; 0 if it is not known."""
        return float(self.result.get("resolution") or 0.0)

    @property
    def tasks(self) -> dict[str, float]:
        """Return the scores by task, where the number is a rate."""
        return dict(self.result.get("tasks") or {})

    @property
    def weaknesses(self) -> list[str]:
        return [str(each) for each in self.result.get("weaknesses") or []]

    @property
    def losses(self) -> list[tuple[float, float]]:
        """Return (seconds of training, loss) as train.py reported them."""
        curve = self.result.get("curve") or []
        points = [(plausible(point.get("seconds")), plausible(point.get("loss"))) for point in curve]
        return [(x, y) for x, y in points if x is not None and y is not None]


@dataclass(frozen=True)
class Call:
    """One call of a language model; `cost_usd` is None if it is unknown."""

    id: int
    session_id: int
    n: int | None
    purpose: str
    model: str | None
    input_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    output_tokens: int | None
    cost_usd: float | None
    seconds: float | None
    error: str | None
    started: float
    arm: str | None = None  # the researcher of a session with several


@dataclass(frozen=True)
class Event:
    """An event, or a message to the running session (`taken` is when it was read)."""

    id: int
    session_id: int
    at: float
    kind: str
    n: int | None
    text: str
    data: JsonObject
    taken: float | None


Row = TypeVar("Row", Session, Experiment, Trial, Call, Event)
_NAMES: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in (Session, Experiment, Trial, Call, Event)
}


def decode(kind: type[Row], row: sqlite3.Row) -> Row:
    """Return a row of SQLite as a value of `kind`; a column that was not read is None."""
    columns = dict(row)
    values: JsonObject = {name: columns.get(name) for name in _NAMES[kind]}
    for name in JSON_COLUMNS & columns.keys():
        values[name] = json.loads(values[name])
    if "near_miss" in values:
        values["near_miss"] = read_near_miss(values["near_miss"], values["p_gain"])
    return kind(**values)


def encode(kind: type[Row], columns: Mapping[str, object]) -> dict[str, object]:
    """Return columns as SQLite stores them. Raises TypeError for one that `kind` does not have."""
    unknown = columns.keys() - {field.name for field in fields(kind)} | columns.keys() & {"id", "session_id"}
    if unknown:
        raise TypeError(f"{kind.__name__.lower()}s have no column to set called {', '.join(sorted(unknown))}")
    return {name: _to_sqlite(name, value) for name, value in columns.items()}


def _to_sqlite(name: str, value: object) -> object:
    if name in JSON_COLUMNS:
        return json.dumps(_replace_non_finite({} if value is None else value))
    # A model can write half a surrogate pair, which UTF-8 cannot encode.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _replace_non_finite(value: object) -> object:
    """Replace infinities and NaN by None: JSON, as SQLite reads it, does not have them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _replace_non_finite(each) for key, each in value.items()}
    return [_replace_non_finite(each) for each in value] if isinstance(value, list | tuple) else value


def read_near_miss(stored: int, odds: float | None) -> bool:
    """Return whether an experiment is a near miss. Old ledgers mark discards with low odds of a gain, too."""
    return bool(stored) and is_near_miss(odds)


def measured_columns(result: JsonObject) -> dict[str, object]:
    """Return the values of a result that a trial has as columns too."""
    names = ("train_seconds", "setup_seconds", "score_seconds", "grade")
    sizes = {"num_params": result.get("parameters"), "peak_mb": result.get("peak_vram_mb")}
    speed = plausible((result.get("conditions") or {}).get("core_speed"))
    return {name: result.get(name) for name in names} | sizes | {"speed": speed}


def derive_seed(*what: object) -> int:
    words = " ".join(map(str, what))
    return int(hashlib.sha256(words.encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


def is_unmeasured(verdict: str | None, val_bpb: float | None, delta: float | None, p_gain: float | None) -> bool:
    """Return whether an experiment was dropped before a trial said something: superseded, or lost to the deadline."""
    return verdict == "discard" and val_bpb is None and delta is None and p_gain is None


def is_stopped(verdict: str | None, delta: float | None, p_gain: float | None) -> bool:
    """Return whether an experiment has odds of a gain, and no score.

    Its screening was stopped early, or a prescreen dropped it.
    """
    return verdict == "discard" and delta is None and p_gain is not None


def kept_as(experiment: Experiment) -> str:
    """Return the kind of a keep: a gain, less code, or the same function."""
    if not experiment.simpler:
        return "gain"
    is_same = (experiment.reason or "").startswith(SAME_FUNCTION)
    return "the same function at the same score" if is_same else "less code for the same score"
