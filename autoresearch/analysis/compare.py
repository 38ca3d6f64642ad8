"""Compare the honest totals and keep rates of two sessions."""

import math
from collections.abc import Iterable, Iterator

from autoresearch.analysis.proportion import proportion
from autoresearch.analysis.summary import SessionSummary
from autoresearch.analysis.total import Interval
from autoresearch.ledger import Session

PINNED = ("budget", "device", "data", "eval_rows")  # settings that must be equal for scores to be compared


def obstacles(a: Session, b: Session) -> list[str]:
    """Return what differed in their measurements; then their scores cannot be compared."""
    return [
        *_differences(a.settings, b.settings, PINNED),
        *_differences(a.identity, b.identity, sorted({*a.identity, *b.identity})),
    ]


def _differences(a: dict[str, object], b: dict[str, object], names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if a.get(name) != b.get(name):
            yield f"{name}: {a.get(name)} against {b.get(name)}"


def totals(a: SessionSummary, b: SessionSummary) -> Interval | None:
    """Return the difference of the honest totals on val; None if one was not measured."""
    return None if a.total is None or b.total is None else difference(a.total.val, b.total.val)


def difference(a: Interval, b: Interval) -> Interval:
    """Return the difference of two independent estimates, with its interval."""
    mean, reach = a.mean - b.mean, math.hypot((a.high - a.low) / 2, (b.high - b.low) / 2)
    return Interval(mean, mean - reach, mean + reach)


def keep_rates(a: SessionSummary, b: SessionSummary) -> Interval:
    """Return the difference of the shares that were kept, with Newcombe's interval (1998)."""
    (p, low_p, high_p), (q, low_q, high_q) = _rate(a), _rate(b)
    low = p - q - math.hypot(p - low_p, high_q - q)
    return Interval(p - q, low, p - q + math.hypot(high_p - p, q - low_q))


def _rate(summary: SessionSummary) -> tuple[float, float, float]:
    kept, tried = len(summary.keeps), len(summary.candidates)
    return (kept / tried if tried else 0.0, *proportion(kept, tried))
