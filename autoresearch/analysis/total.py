"""Measure the honest total: base against final on fresh seeds, on val and holdout.

The best score of a session is biased, because it was selected for being low. Here base and final run in pairs, each
pair with one fresh seed, in alternating order, so that a drift of the machine affects both. Two or three pairs say
little about their own spread, so it is pooled with the noise that the session knows. Scores count as they were
measured, not at equal speed of the machine: what settles a session's claim assumes nothing about speed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from autoresearch import judge
from autoresearch.analysis.lineage import settled_keeps, stack
from autoresearch.analysis.remeasure import Remeasurer
from autoresearch.analysis.session_noise import raw_noise
from autoresearch.errors import require
from autoresearch.files import JsonObject
from autoresearch.ledger import Event, Ledger, Session
from autoresearch.ledger.metrics import settle_metric
from autoresearch.ledger.rows import TRANSFER
from autoresearch.ledger.trials import judging
from autoresearch.measure.result import Result
from autoresearch.metric import EXACT, Metric

MAX_SHARE = 0.3  # of the session that the total may take: half an hour of an eight-hour night is 7 %
FEWEST_PAIRS = 2  # one has no interval
LEVEL = 0.975  # one-sided; the interval has 95 %


@dataclass(frozen=True)
class Interval:
    """A mean difference on the scale of the metric (negative is better) and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Total:
    """The honest total, on the scale of the metric."""

    base: int
    final: int
    pairs: int
    val: Interval  # final minus base
    holdout: Interval  # final minus base
    running_minimum: float  # the gain according to the lowest score of the session
    optimism: float  # running_minimum minus the mean on val


def recorded_totals(events: Sequence[Event]) -> list[Total]:
    """Return the honest totals in a session's events, oldest first.

    Events of older program versions that lack a field are skipped.
    """
    return [total for event in events if event.kind == "total" and (total := _parse(event.data)) is not None]


def _parse(data: JsonObject) -> Total | None:
    try:
        return Total(**{**data, "val": Interval(**data["val"]), "holdout": Interval(**data["holdout"])})
    except (KeyError, TypeError):
        return None


def measure_total(remeasurer: Remeasurer, pairs: int) -> Total:
    """Measure `pairs` pairs, of an exact number one. Raises UserError if nothing was kept, or one fails."""
    base, *_, final = stack(remeasurer.ledger, remeasurer.session)
    metric = settle_metric(remeasurer.ledger, remeasurer.session)
    pairs = _needed_pairs(metric, pairs)
    first = max(map(remeasurer.count_trials, (base, final)))  # `reproduce` may have used more for one
    scores: dict[int, list[Result]] = {base.id: [], final.id: []}
    for pair in range(first, first + pairs):
        for experiment in (base, final) if pair % 2 == 0 else (final, base):
            scores[experiment.id].append(remeasurer.run_trial(experiment, pair))
    before, after = scores[base.id], scores[final.id]
    noise = raw_noise(remeasurer.ledger, remeasurer.session)
    delta = metric.difference
    val = [delta(require(b.val_bpb), require(a.val_bpb)) for a, b in zip(before, after, strict=True)]
    holdout = [delta(require(b.holdout_bpb), require(a.holdout_bpb)) for a, b in zip(before, after, strict=True)]
    minimum = running_minimum(remeasurer.ledger, remeasurer.session)
    return Total(base.n, final.n, pairs, interval(val, noise), interval(holdout, noise), minimum, minimum - fmean(val))


def reserve(store: Ledger, session: Session, most: int, limit_s: float | None) -> float:
    """Return the seconds to keep free for a total; 0 if there is none to measure or no time for it.

    `most` is the number of pairs where there is time, `limit_s` the length of the whole session.
    """
    share = None if limit_s is None else MAX_SHARE * limit_s
    return fitting_pairs(store, session, most, share) * seconds_of_pair(store, session)


def pairs_at_end(store: Ledger, session: Session, most: int, reserved_s: float, left_s: float | None) -> int:
    """Return the number of pairs to measure when a session ends, in the time that was kept free or is left."""
    return fitting_pairs(store, session, most, None if left_s is None else max(reserved_s, left_s))


def fitting_pairs(store: Ledger, session: Session, most: int, available_s: float | None) -> int:
    """Return how many pairs fit into some seconds (None: any number does), at most `most`; 0 if fewer than two do."""
    seconds = seconds_of_pair(store, session)
    if not seconds:
        return 0
    metric = settle_metric(store, session)
    fitting = most if available_s is None else min(most, int(available_s / seconds + 1e-6))
    return _needed_pairs(metric, fitting) if fitting >= _needed_pairs(metric, FEWEST_PAIRS) else 0


def _needed_pairs(metric: Metric, pairs: int) -> int:
    """Return how many of so many pairs tell something: of a number without noise, one."""
    return min(pairs, 1) if metric.kind == EXACT else pairs


def seconds_of_pair(store: Ledger, session: Session) -> float:
    """Estimate the seconds of one pair, by the longest trial of the final version; 0 if there is none to measure."""
    keeps = settled_keeps(store, session)
    if len(keeps) < 2:
        return 0.0
    final = keeps[-1]
    trials = [trial for trial in store.trials(session.id, final.id) if trial.purpose != TRANSFER]
    durations = [trial.ended - trial.started for trial in trials if trial.ended]
    if not durations or any(
        total.final == final.n for total in recorded_totals(store.events(session.id, kind="total"))
    ):
        return 0.0
    return 2 * max(durations)


def interval(differences: Sequence[float], noise: tuple[float, float] | None = None) -> Interval:
    """Return mean and 95 % interval of two or more paired differences, by Student's t; of one, it is a point.

    `noise` are sigma of one trial and its degrees of freedom, as the session knows them. A difference of two trials has
    twice their variance; what they share by their seed is left out of account, so the interval is rather too wide.
    """
    if len(differences) == 1:
        return Interval(*3 * [round(differences[0], 6)])
    sigma, dof = noise or (0.0, 0.0)
    dof, own = min(dof, judge.MAX_EARLIER_DOF), len(differences) - 1
    squares = own * stdev(differences) ** 2 + dof * 2 * sigma**2
    mean, error = fmean(differences), math.sqrt(squares / (own + dof) / len(differences))
    reach = quantile(own + dof) * error
    return Interval(round(mean, 6), round(mean - reach, 6), round(mean + reach, 6))


def quantile(dof: float) -> float:
    """Return the `LEVEL` quantile of Student's t distribution, by bisection."""
    low, high = 0.0, 1000.0
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if judge.p_below_zero(-middle, 1.0, dof) < LEVEL else (low, middle)
    return high


def running_minimum(ledger: Ledger, session: Session) -> float:
    """Return the best score minus the first of the base: the gain in a log of best scores."""
    suspects = {row.id for row in ledger.experiments(session.id, verdict="suspect")}  # whose scores are withdrawn
    trials = [trial for trial in judging(ledger.trials(session.id)) if trial.experiment_id not in suspects]
    scores = [session.metric.to_scale(trial.val_bpb) for trial in trials if trial.val_bpb is not None]
    return round(min(scores) - scores[0], 6)
