"""Two sessions side by side: what each was worth, with intervals, and whether that may be compared at all."""

import math
from collections.abc import Iterator

from autoresearch.analysis.summary import SessionSummary
from autoresearch.analysis.total import Interval
from autoresearch.ledger import Session

Z = 1.959964  # of a normal distribution: 95 % lie within so many standard deviations

PINNED = ("budget", "device", "data", "eval_rows")  # settings without which scores are of different things


def obstacles(a: Session, b: Session) -> list[str]:
    """What was not the same when they were measured: gains are of different things then."""
    return [
        *_differences(a.settings, b.settings, PINNED),
        *_differences(a.identity, b.identity, sorted({*a.identity, *b.identity})),
    ]


def _differences(a: dict[str, object], b: dict[str, object], names: "tuple[str, ...] | list[str]") -> Iterator[str]:
    for name in names:
        if a.get(name) != b.get(name):
            yield f"{name}: {a.get(name)} against {b.get(name)}"


def totals(a: SessionSummary, b: SessionSummary) -> Interval | None:
    """How much better the first session's honest total is, on val; None where one was not measured."""
    return None if a.total is None or b.total is None else difference(a.total.val, b.total.val)


def difference(a: Interval, b: Interval) -> Interval:
    """Of two independent estimates: the reaches of their intervals add as errors do."""
    mean, reach = a.mean - b.mean, math.hypot((a.high - a.low) / 2, (b.high - b.low) / 2)
    return Interval(mean, mean - reach, mean + reach)


def keep_rates(a: SessionSummary, b: SessionSummary) -> Interval:
    """How much more often the first session kept what it tried (Newcombe 1998)."""
    (p, low_p, high_p), (q, low_q, high_q) = _rate(a), _rate(b)
    low = p - q - math.hypot(p - low_p, high_q - q)
    return Interval(p - q, low, p - q + math.hypot(high_p - p, q - low_q))


def _rate(night: SessionSummary) -> tuple[float, float, float]:
    kept, tried = len(night.keeps), len(night.tried)
    return (kept / tried if tried else 0.0, *proportion(kept, tried))


def proportion(found: int, tried: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `found` of `tried` is a sample (Wilson 1927)."""
    if tried == 0:
        return 0.0, 1.0
    share, square = found / tried, Z * Z
    middle = (share + square / (2 * tried)) / (1 + square / tried)
    reach = Z / (1 + square / tried) * math.sqrt(share * (1 - share) / tried + square / (4 * tried * tried))
    return max(0.0, middle - reach), min(1.0, middle + reach)
