"""The option `--since`: a time, or the number of an experiment."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from autoresearch.errors import UsageError

if TYPE_CHECKING:
    from autoresearch.ledger import ExperimentRow

UNITS = {"m": "minutes", "min": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True)
class Since:
    """Select experiments from number `n` on that were not over at `at` (unix seconds)."""

    n: int = 0
    at: float = 0.0

    def holds(self, row: "ExperimentRow") -> bool:
        """Return whether an experiment is selected."""
        return row.n >= self.n and (row.settled is None or row.settled >= self.at)


def parse_since(text: str, now: datetime) -> Since:
    """Read `2h`, `30m`, `3d`, `today`, `yesterday`, `2026-11-20`, `2026-11-20 22:30`, or the number of an experiment.

    Times are local. Raises UsageError.
    """
    try:
        return _read(text.strip().lower(), now)
    except (ValueError, OverflowError):
        raise UsageError(
            f"--since {text} cannot be read: use 2h, 30m, 3d, today, yesterday, a date (2026-11-20, 2026-11-20T22:30),"
            " or the number of an experiment"
        ) from None


def _read(words: str, now: datetime) -> Since:
    """Read the option. Raises ValueError, and OverflowError for a time that no calendar has."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if words.isdecimal():
        return Since(n=int(words))
    if words in ("today", "yesterday"):
        return Since(at=(midnight - timedelta(days=words == "yesterday")).timestamp())
    if match := re.fullmatch(r"(\d{1,6}(?:\.\d+)?)\s*(m|min|h|d|w)", words):
        return Since(at=(now - timedelta(**{UNITS[match[2]]: float(match[1])})).timestamp())
    return Since(at=datetime.fromisoformat(words).timestamp())
