"""The honest total: base against final, measured again on fresh seeds, on val and on data that nobody looked at.

What a night reports by itself is biased: its best number was chosen because it was low. Here base and final run in
pairs, each pair with one fresh seed, in turns, so that a drift of the machine falls on both.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from autoresearch import judge
from autoresearch.errors import UserError
from autoresearch.evidence import known
from autoresearch.ledger import Experiment, Ledger, Session
from autoresearch.measure.data import Dataset
from autoresearch.measure.result import Progress, Result
from autoresearch.measure.settings import Settings
from autoresearch.measure.trial import measure
from autoresearch.workspace import Workspace

LEVEL = 0.975  # each side of the interval: 95 % in all
PURPOSE = "total"  # these trials never judge anything


@dataclass(frozen=True)
class Interval:
    """A mean difference in bits per byte (negative is better) and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Total:
    """`val` and `holdout` are final minus base; `running_minimum` is what a log of best numbers says instead."""

    base: int
    final: int
    pairs: int
    val: Interval
    holdout: Interval
    running_minimum: float
    optimism: float


@dataclass(frozen=True)
class Referee:
    """Everything that a pair is measured with."""

    ledger: Ledger
    session: Session
    workspace: Workspace
    settings: Settings
    data: Dataset
    watch: Callable[[int, Progress], None]


def measure_total(referee: Referee, pairs: int) -> Total:
    """Measure base and final in `pairs` pairs (two or more). Raises UserError where nothing was kept, or one fails."""
    kept = [row for row in referee.ledger.experiments(referee.session.id, verdict="keep") if row.state == "settled"]
    if len(kept) < 2:
        raise UserError("nothing was kept in this session: base and final are the same")
    base, final = kept[0], kept[-1]
    done = len([trial for trial in referee.ledger.trials(referee.session.id, base.id) if trial.purpose == PURPOSE])
    scores: dict[int, list[Result]] = {base.id: [], final.id: []}
    for pair in range(done, done + pairs):
        for experiment in (base, final) if pair % 2 == 0 else (final, base):
            scores[experiment.id].append(_trial(referee, experiment, _seed(referee.session.seed, pair)))
    before, after = scores[base.id], scores[final.id]
    val = interval([known(b.val_bpb) - known(a.val_bpb) for a, b in zip(before, after, strict=True)])
    holdout = interval([known(b.holdout_bpb) - known(a.holdout_bpb) for a, b in zip(before, after, strict=True)])
    minimum = _running_minimum(referee)
    return Total(base.n, final.n, pairs, val, holdout, minimum, minimum - val.mean)


def interval(differences: Sequence[float]) -> Interval:
    """Mean and 95 % interval of two or more paired differences, by Student's t."""
    mean, error = fmean(differences), stdev(differences) / math.sqrt(len(differences))
    reach = quantile(len(differences) - 1) * error
    return Interval(round(mean, 6), round(mean - reach, 6), round(mean + reach, 6))


def quantile(dof: int) -> float:
    """The t that Student's distribution stays below with probability `LEVEL`, by bisection."""
    low, high = 0.0, 1000.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if judge.p_below_zero(-middle, 1.0, dof) < LEVEL else (low, middle)
    return high


def _trial(referee: Referee, experiment: Experiment, seed: int) -> Result:
    text = referee.workspace.read(known(experiment.sha))
    trial = referee.ledger.start_trial(
        referee.session.id, experiment.id, PURPOSE, seed, known(experiment.blob)
    )
    result = measure(
        text,
        seed,
        referee.settings,
        referee.data,
        watch=lambda progress: referee.watch(experiment.n, progress),
        wants_holdout=lambda val_bpb: True,
    )
    stored = result.as_json() | {"identity": referee.session.identity}  # as whoever measures has made sure
    referee.ledger.end_trial(trial.id, result.outcome, result.val_bpb, stored)
    if result.val_bpb is None or result.holdout_bpb is None:
        raise UserError(f"experiment {experiment.n} could not be measured again: {result.outcome} {result.reason}")
    return result


def _running_minimum(referee: Referee) -> float:
    """The lowest single score of the session minus the base's first: what other tools report."""
    trials = referee.ledger.trials(referee.session.id)
    scores = [trial.val_bpb for trial in trials if trial.val_bpb is not None and trial.purpose != PURPOSE]
    return round(min(scores) - scores[0], 6)


def _seed(session_seed: int, pair: int) -> int:
    """A seed that no experiment was given."""
    return int(hashlib.sha256(f"{session_seed} total {pair}".encode()).hexdigest()[:8], 16) & 0x7FFFFFFF
