"""Which arm is asked for the next proposal."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class ArmRecord:
    """What an arm has done so far.

    `verdicts` are oldest first: gain credited by the judge (bits per byte, 0.0 where nothing was kept) and cost (in one
    unit of the user's money or, without prices, of trial seconds); `pending` proposals have no verdict yet.
    """

    name: str
    gains: tuple[float, ...]
    costs: tuple[float, ...]
    pending: int = 0


def choose_arm(records: Sequence[ArmRecord], seed: int) -> str:
    """Return the name of the arm with the fewest proposals; `seed` decides between equals."""
    given = [len(record.gains) + record.pending for record in records]
    fewest = [record.name for record, count in zip(records, given, strict=True) if count == min(given)]
    return fewest[seed % len(fewest)]
