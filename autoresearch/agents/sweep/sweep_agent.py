"""An agent without a language model: it moves the numeric constants of a version and learns from the results.

Each proposal moves up to a third of the constants, each by a factor between 1/2 and 2. The sampler (sampler.py) learns
more from the same noisy trials than Optuna's own (TPE). Its study is rebuilt from the history on every call.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from autoresearch.agents.base import BadProposal, Exhausted, InstantAgent, Proposal
from autoresearch.files import JsonObject
from autoresearch.ledger import BROKEN
from autoresearch.ledger.categories import category_of_constant
from autoresearch.ledger.rows import AGENT_EXHAUSTED, ARCHIVED, FROM_ARCHIVE
from autoresearch.metric import VAL_BPB
from autoresearch.source.constants import Constant, Number
from autoresearch.source.scalars import scalars, with_scalars
from autoresearch.source_tree import SourceTree

if TYPE_CHECKING:
    import numpy as np

    from autoresearch.agents.sweep.sampler import Observation
    from autoresearch.brief.brief import Brief
    from autoresearch.brief.history import PastExperiment

NOTHING_TO_MOVE = "train.py has no `UPPER_CASE = number` line at module level that a sweep could move"
NOTHING_IN_FILES = (
    "no file has a constant or, in YAML, JSON or TOML, a number that `sweep` could move: another agent can edit them"
)
STEPS = 4  # candidate factors in each direction
MIN_LOG2 = 0.1  # of a factor that is worth a trial
MAX_DUPLICATES = 5  # in a row of one version, after which every move of it must have been tried
ROUNDING_BPB = 1e-4  # scores in the history are rounded to this
ROUNDING_SHARE = 1e-4  # of a score that is not in bits per byte
ROUNDING = 5  # decimals of a prediction

_EXCLUDED = re.compile(
    r"SEED|(^|_)(DEVICE|COMPILE|LOG|PRINT|DEBUG|VERBOSE|VERSION|FORMAT)(_|$)"
    r"|(^|_)(MICRO|CHUNK)(_|$)|^LOSS_TOKENS$"  # how a step is computed, not what
)

MAX_ATTEMPTS = 10  # at values that can go together
_MOMENTUM = re.compile("BETA|MOMENTUM")  # what counts is the distance from 1


@dataclass(frozen=True)
class Knob:
    """A constant that may move; its `kind` is the scale of its coordinate, a log2."""

    constant: Constant
    kind: str

    @cached_property
    def key(self) -> str:
        """Return the name in the study. It includes the kind, because a constant can change its type."""
        return f"{self.constant.name}:{self.kind}"

    @cached_property
    def here(self) -> float:
        return coordinate(self.kind, self.constant.value)

    def choices(self, rng: "np.random.Generator") -> dict[float, Number]:
        """Return the values that it may move to, by coordinate."""
        # sizes (log2): a random one out of each of STEPS equal parts of the range
        sizes = (MIN_LOG2 + (1 - MIN_LOG2) * (step + rng.random()) / STEPS for step in range(STEPS))
        moves = (self._move(sign * size) for size in sizes for sign in (-1, 1))
        values = sorted({value for value in moves if value is not None and value != self.constant.value})
        return {coordinate(self.kind, value): value for value in values}

    def _move(self, log2: float) -> Number | None:
        """Return the value after a move of its coordinate, as it will be written; None if no float can hold it."""
        value = self.constant.value
        if self.kind == "power":
            return int(value * 2) if log2 > 0 else int(value // 2)
        if self.kind == "int":
            return _move_int(int(value), log2)
        if self.kind == "complement":
            moved = float(self.constant.spell(1 - (1 - value) * 2**log2))
            return moved if 0 < moved < 1 else None
        moved = value * 2**log2
        return float(self.constant.spell(moved)) if moved and math.isfinite(moved) else None


class Sweep(InstantAgent):
    """Move constants. Raises BadProposal if train.py has none, Exhausted if other files have none or all was tried."""

    name = "sweep"
    repairs = 20

    def propose(self, brief: "Brief") -> Proposal:
        """Return the best move in one sample from the posterior of the effects of moves."""
        own = [past for past in brief.history if past.agent == self.name]
        here = [past.verdict for past in own if past.parent == brief.source_n]
        if here[-MAX_DUPLICATES:] == ["duplicate"] * MAX_DUPLICATES:
            raise Exhausted(f"{AGENT_EXHAUSTED}: every move of the constants has been tried")
        movable = knobs(brief.source)
        if not movable:
            if SourceTree.parse(brief.source).framed:
                raise Exhausted(f"{AGENT_EXHAUSTED}: {NOTHING_IN_FILES}")
            raise BadProposal(NOTHING_TO_MOVE)
        for attempt in range(MAX_ATTEMPTS):
            moved, predicted = _choose(movable, brief, attempt)
            if (reason := _impossible(movable, moved)) is None:
                break
        params = {knob.constant.name: _record(knob, value) for knob, value in moved.items()}
        proposal = Proposal(
            text=with_scalars(brief.source, {knob.constant.name: value for knob, value in moved.items()}),
            hypothesis=", ".join(_describe(name, change) for name, change in params.items()),
            category=category_of_constant(_own_name(next(iter(params))).upper()),
            predicted=round(brief.metric.raw_change(predicted), ROUNDING) if own else None,
            params=params,
        )
        if reason is not None:
            raise BadProposal(reason, params)
        return proposal


def knobs(text: str) -> list[Knob]:
    """Return the constants that a sweep moves: no zeros, 0/1 switches, seeds, settings of the machine or of memory."""
    movable = []
    for constant in scalars(text):
        switch = isinstance(constant.value, int) and constant.value in (0, 1)
        if constant.value != 0 and not switch and not _EXCLUDED.search(_own_name(constant.name).upper()):
            movable.append(Knob(constant, _kind(constant)))
    return movable


def _own_name(name: str) -> str:
    """Return the name of a number without the path of its file and the sections around it."""
    return name.rpartition(":")[2].rpartition(".")[2]


def coordinate(kind: str, value: Number) -> float:
    """Return the position of a value on the log2 scale of its kind."""
    return math.log2(1 - value if kind == "complement" else abs(value))


def _kind(constant: Constant) -> str:
    value = constant.value
    if isinstance(value, int):
        return "power" if value >= 8 and value.bit_count() == 1 else "int"
    is_momentum = _MOMENTUM.search(constant.name.upper()) is not None and 0 < value < 1
    return "complement" if is_momentum or 0.8 <= value < 1 else "float"


def _move_int(value: int, log2: float) -> int:
    """Move an integer by about a factor; it stays divisible by its power of two if that is >= 8: 192 -> 256."""
    power = abs(value) & -abs(value)
    unit = power if power >= 8 else 1
    steps = round(abs(value) * 2**log2 / unit)
    if steps * unit == abs(value):
        steps += 1 if log2 > 0 else -1
    steps = max(steps, math.ceil(abs(value) / unit / 2))
    return steps * unit if value > 0 else -steps * unit


def _impossible(movable: list[Knob], moved: Mapping[Knob, Number]) -> str | None:
    """Return why constants cannot go together: no head fits into the model. None if they can."""
    values = {knob.constant.name: moved.get(knob, knob.constant.value) for knob in movable}
    model, head = values.get("MODEL_DIM"), values.get("HEAD_DIM")
    if model is None or head is None or head <= model:
        return None
    return f"HEAD_DIM {head:g} is larger than MODEL_DIM {model:g}: there would be no head"


def _choose(movable: list[Knob], brief: "Brief", attempt: int) -> tuple[dict[Knob, Number], float]:
    """Return new values for a few knobs, and the predicted delta."""
    import numpy as np

    from autoresearch.agents.sweep.sampler import AdditiveSampler, ask

    rng = np.random.default_rng([brief.seed, brief.n, len(brief.feedback), *([attempt] if attempt else [])])
    choices = {knob.key: knob.choices(rng) for knob in movable}
    sampler = AdditiveSampler(
        here={knob.key: knob.here for knob in movable if choices[knob.key]},
        choices={key: list(values) for key, values in choices.items() if values},
        noise=max(brief.sigma, _rounding(brief)),
        rng=rng,
    )
    point = ask(sampler, observations(brief.history, Sweep.name))
    moved = {knob: choices[knob.key][point[knob.key]] for knob in movable if point[knob.key] != knob.here}
    return moved, sampler.predicted


def _rounding(brief: "Brief") -> float:
    """Return the least noise of scores in the history: what they are rounded to."""
    if brief.metric == VAL_BPB:
        return ROUNDING_BPB
    return ROUNDING_SHARE * abs(brief.incumbent_score or 0.0) or ROUNDING_BPB


def observations(history: list["PastExperiment"], agent: str) -> list["Observation"]:
    """Return the moves and deltas of an agent's experiments, oldest first; failures have no delta.

    The delta of one that was stopped early is its forecast. One whose moves from its incumbent are not known tells
    nothing: it changed a version of another line, or of another agent.
    """
    from autoresearch.agents.sweep.sampler import Observation

    results, parent, by_n = [], 0, {past.n: past for past in history}
    for past in history:
        failed, delta = past.verdict in BROKEN, past.forecast if past.delta is None else past.delta
        is_own = past.agent == agent and past.params and (failed or delta is not None)
        if is_own and (moves := _moves_from_incumbent(past, by_n, agent)) is not None:
            results.append(Observation(moves, None if failed else delta, parent))
        if past.verdict == "keep":
            parent = past.n
    return results


def _moves_from_incumbent(
    past: "PastExperiment", by_n: Mapping[int, "PastExperiment"], agent: str
) -> dict[str, tuple[float, float]] | None:
    """Return an experiment's moves together with those of the versions that it changed; None if they are not known."""
    moves = _moves(past.params)
    while past.mode in FROM_ARCHIVE:
        before = by_n.get(past.parent) if past.parent is not None else None
        if past.mode != ARCHIVED or before is None or before.agent != agent or not before.params:
            return None
        earlier = _moves(before.params)
        starts, ends = {**moves, **earlier}, {**earlier, **moves}
        past, moves = before, {key: (starts[key][0], ends[key][1]) for key in starts}
    return moves


def _moves(params: JsonObject) -> dict[str, tuple[float, float]]:
    moves = {}
    for name, change in params.items():
        kind = change["kind"]
        moves[f"{name}:{kind}"] = (coordinate(kind, change["from"]), coordinate(kind, change["to"]))
    return moves


def _record(knob: Knob, value: Number) -> JsonObject:
    distance = coordinate(knob.kind, value) - knob.here
    return {"kind": knob.kind, "from": knob.constant.value, "to": value, "log2": round(distance, 3)}


def _describe(name: str, change: JsonObject) -> str:
    factor = f" (x{change['to'] / change['from']:.2f})" if change["kind"] == "float" else ""
    return f"{name} {change['from']:g} -> {change['to']:g}{factor}"
