"""The rows of the ledger as frozen values, and how they are written to SQLite and read back."""

import hashlib
import json
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar

CATEGORIES = (
    "architecture",
    "optimiser",
    "schedule",
    "data-order",
    "numerics",
    "throughput",
    "regularisation",
    "simplification",
    "bug",
    "other",
)

JSON_COLUMNS = frozenset({"settings", "identity", "layers", "params", "numbers", "result", "data"})
VERDICTS = ("keep", "discard", "crash", "invalid", "duplicate", "suspect")
BROKEN = ("crash", "invalid", "suspect")  # verdicts of what went wrong ...
UNSCORED = (*BROKEN, "duplicate")  # ... and of all that has no score: their reason says more than numbers
LESS_CODE = "less code"  # how the judge's reason begins for a keep that is no gain
AFTERWARDS = ("total", "ablate")  # purposes of trials that measure again, and judge nothing


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
    settings: dict[str, Any]
    identity: dict[str, Any]
    state: str
    stop_reason: str | None
    grade: str | None
    layers: dict[str, Any]
    pid: int | None
    pid_started: float | None
    created: float
    started: float | None
    deadline: float | None
    ended: float | None

    def seed_of(self, *what: object) -> int:
        """The seed that belongs to something in the session, such as experiment and trial: always the same one."""
        words = " ".join(map(str, (self.seed, *what)))
        return int(hashlib.sha256(words.encode()).hexdigest()[:8], 16) & 0x7FFFFFFF


@dataclass(frozen=True)
class Experiment:
    """One proposed version of train.py; `parent`, `origin` and `line` are experiments of the same session."""

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
    agent: str | None
    model: str | None
    category: str | None
    hypothesis: str | None
    change: str | None
    predicted: float | None
    params: dict[str, Any]
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


@dataclass(frozen=True)
class Trial:
    """One training run. `outcome` is None while it runs; `ended` stays None if it was interrupted."""

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
    result: dict[str, Any]
    started: float
    ended: float | None
    num_params: float | None
    peak_mb: float | None


@dataclass(frozen=True)
class Call:
    """One call of a language model; `cost_usd` is None where it is unknown."""

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


@dataclass(frozen=True)
class Event:
    """Something that happened, or a message to the running session (`taken` is when it was read)."""

    id: int
    session_id: int
    at: float
    kind: str
    n: int | None
    text: str
    data: dict[str, Any]
    taken: float | None


def simpler(verdict: str | None, reason: str | None) -> bool:
    """Whether an experiment was kept because it takes code away, and not because it is better."""
    return verdict == "keep" and (reason or "").startswith(LESS_CODE)


Row = TypeVar("Row", Session, Experiment, Trial, Call, Event)
_NAMES: dict[type, tuple[str, ...]] = {
    kind: tuple(field.name for field in fields(kind)) for kind in (Session, Experiment, Trial, Call, Event)
}


def decode(kind: type[Row], row: sqlite3.Row) -> Row:
    """A row of SQLite as a value of `kind`; a column that was not read is None."""
    found = dict(row)
    values: dict[str, Any] = {name: found.get(name) for name in _NAMES[kind]}
    for name in JSON_COLUMNS & found.keys():
        values[name] = json.loads(values[name])
    if "near_miss" in values:
        values["near_miss"] = bool(values["near_miss"])
    return kind(**values)


def encode(kind: type[Row], columns: Mapping[str, Any]) -> dict[str, Any]:
    """Columns as SQLite stores them. Raises TypeError for one that `kind` does not have."""
    unknown = columns.keys() - {field.name for field in fields(kind)} | columns.keys() & {"id", "session_id"}
    if unknown:
        raise TypeError(f"{kind.__name__.lower()}s have no column to set called {', '.join(sorted(unknown))}")
    return {name: _stored(name, value) for name, value in columns.items()}


def _stored(name: str, value: Any) -> Any:
    if name in JSON_COLUMNS:
        return json.dumps(_finite({} if value is None else value))
    # Half a surrogate pair, as a model can write it, has no UTF-8.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value


def _finite(value: Any) -> Any:
    """JSON, and SQLite's reading of it, has no infinity and no nan."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


def kept_as(experiment: Experiment) -> str:
    """What a kept change is: better, or only shorter."""
    return "less code for the same score" if simpler(experiment.verdict, experiment.reason) else "gain"
