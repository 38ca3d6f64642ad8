"""The honest total: base against final, measured again on fresh seeds, on val and on data that nobody looked at.

What a night reports by itself is biased: its best number was chosen because it was low. Here base and final run in
pairs, each pair with one fresh seed, in turns, so that a drift of the machine falls on both.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from autoresearch import judge
from autoresearch.analysis.lineage import stack
from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.errors import require
from autoresearch.ledger import Event, Ledger, Session
from autoresearch.ledger.trials import judging
from autoresearch.measure.result import Result

SHARE = 0.1  # of a night that the total may take
LEVEL = 0.975  # each side of the interval: 95 % in all


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


def recorded(events: Sequence[Event]) -> list[Total]:
    """The honest totals that a session's events tell of, oldest first; those of an older version say less and are left out."""
    return [total for event in events if event.kind == "total" and (total := _of(event.data)) is not None]


def _of(data: dict[str, Any]) -> Total | None:
    try:
        return Total(**{**data, "val": Interval(**data["val"]), "holdout": Interval(**data["holdout"])})
    except (KeyError, TypeError):
        return None


def measure_total(again: Remeasurer, pairs: int) -> Total:
    """Measure base and final in `pairs` pairs (two or more). Raises UserError where nothing was kept, or one fails."""
    base, *_, final = stack(again.ledger, again.session)
    done = max(again.done(base), again.done(final))  # `reproduce` may have used more seeds for one of them
    scores: dict[int, list[Result]] = {base.id: [], final.id: []}
    for pair in range(done, done + pairs):
        for experiment in (base, final) if pair % 2 == 0 else (final, base):
            scores[experiment.id].append(again.trial(experiment, pair))
    before, after = scores[base.id], scores[final.id]
    val = interval([require(b.val_bpb) - require(a.val_bpb) for a, b in zip(before, after, strict=True)])
    holdout = interval([require(b.holdout_bpb) - require(a.holdout_bpb) for a, b in zip(before, after, strict=True)])
    minimum = _running_minimum(again)
    return Total(base.n, final.n, pairs, val, holdout, minimum, minimum - val.mean)


def reserve(store: Ledger, session: Session, pairs: int, night: float | None) -> float:
    """Seconds that a total of so many pairs will take, 0 where there is none to measure or the night (seconds) is too short."""
    kept = [row for row in store.experiments(session.id, verdict="keep") if row.state == "settled"]
    took = (
        [trial.ended - trial.started for trial in store.trials(session.id, kept[-1].id) if trial.ended] if kept else []
    )
    if len(kept) < 2 or not took or any(total.final == kept[-1].n for total in recorded(store.events(session.id))):
        return 0.0
    seconds = 2 * pairs * max(took)
    return seconds if night is None or seconds <= SHARE * night else 0.0


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


def _running_minimum(again: Remeasurer) -> float:
    """The lowest single score of the session minus the base's first: what other tools report."""
    trials = judging(again.ledger.trials(again.session.id))
    scores = [trial.val_bpb for trial in trials if trial.val_bpb is not None]
    return round(min(scores) - scores[0], 6)
