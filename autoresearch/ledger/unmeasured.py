"""Describe experiments that were dropped before a trial: superseded by a newer incumbent, or lost to the deadline.

They keep their number in ledger and git. Lists and charts leave them out: they did not fail.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol

SUPERSEDED = "superseded by experiment"  # how the reason begins for a candidate whose incumbent was replaced
CONFLICTS = "with which it conflicts"  # how it ends for one whose change could not be made to the newer incumbent
MAX_NAMED = 12  # experiments of a kind that are named, the newest


class Dropped(Protocol):
    """The part of an experiment that says what became of it."""

    @property
    def n(self) -> int: ...
    @property
    def origin(self) -> int | None: ...
    @property
    def reason(self) -> str | None: ...
    @property
    def unmeasured(self) -> bool: ...


def describe_unmeasured(rows: Sequence[Dropped]) -> str:
    """Say in one line what became of the unmeasured experiments among `rows`; "" if there are none."""
    dropped = [row for row in rows if row.unmeasured]
    return f"Never measured: {'; '.join(_kinds(rows, dropped))}." if dropped else ""


def _kinds(rows: Sequence[Dropped], dropped: Sequence[Dropped]) -> Iterator[str]:
    again = {row.origin: row.n for row in rows if row.origin is not None}
    left = [row for row in dropped if row.n not in again]
    if carried := [f"{row.n} as {again[row.n]}" for row in dropped if row.n in again]:
        yield f"made again on a newer incumbent: {_join(carried)}"
    if conflicts := [str(row.n) for row in left if (row.reason or "").endswith(CONFLICTS)]:
        yield f"in conflict with a newer incumbent: {_join(conflicts)}"
    if late := [str(row.n) for row in left if not (row.reason or "").endswith(CONFLICTS)]:
        yield f"not reached before the session ended: {_join(late)}"


def is_carried_over(reason: str) -> bool:
    """Return whether the reason is that of a candidate whose change is made again on a newer incumbent."""
    return reason.startswith(SUPERSEDED) and not reason.endswith(CONFLICTS)


def _join(names: Sequence[str]) -> str:
    more = f"{len(names) - MAX_NAMED} earlier ones, " if len(names) > MAX_NAMED else ""
    return f"{more}{', '.join(names[-MAX_NAMED:])}"
