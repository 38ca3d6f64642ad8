"""What a night with a paid model will cost, said early enough to change one's mind."""

from collections.abc import Sequence

from autoresearch.ledger import Call

AFTER = 3  # experiments on which an estimate can stand


def estimate(calls: Sequence[Call], decided: int, seconds: float, left: float | None) -> str | None:
    """Dollars for an experiment so far, and for `left` more seconds at the pace of `decided` experiments in `seconds`.

    None where nothing was paid or a price is unknown.
    """
    costs = [call.cost_usd for call in calls]
    known = [cost for cost in costs if cost is not None]
    if not known or len(known) < len(costs) or not sum(known):
        return None
    each = sum(known) / decided
    words = f"${each:.3f} an experiment so far"
    if left is None or seconds <= 0:
        return words
    more = max(left, 0.0) / seconds * decided
    return f"{words}: about ${each * more:.2f} more for {more:.0f} experiments until the deadline"
