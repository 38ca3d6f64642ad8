"""Limit on the dollars of model calls."""

import threading

from autoresearch.agents.base import Spent


class SpendLimit:
    """Dollars spent and reserved, which together never exceed `max_usd`. Threads may share it.

    `whole` is the limit that others share, too: of all arms of a session.
    """

    def __init__(self, max_usd: float | None, spent: float = 0.0, whole: "SpendLimit | None" = None) -> None:
        self.max_usd, self.spent, self.reserved, self.whole = max_usd, spent, 0.0, whole
        self._changed = threading.Condition()

    def fits(self, usd: float | None) -> bool:
        """Return True if an amount is left. An unknown amount fits only if there is no limit."""
        return self._has_left(usd) and (self.whole is None or self.whole.fits(usd))

    def _has_left(self, usd: float | None, reserved: float = 0.0) -> bool:
        return self.max_usd is None or (usd is not None and self.spent + reserved + usd <= self.max_usd)

    def reserve(self, usd: float | None) -> float:
        """Reserve the most that a call can cost, and return it. Raises Spent."""
        if self.whole is not None:
            self.whole.reserve(usd)
        with self._changed:  # other calls may cost less than they have reserved
            self._changed.wait_for(lambda: self._has_left(usd, self.reserved) or not self._has_left(usd))
            if self._has_left(usd):
                self.reserved += usd or 0.0
                return usd or 0.0
        if self.whole is not None:
            self.whole.settle(usd or 0.0, 0.0)
        raise Spent(f"max usd: ${self.spent:.2f} of ${self.max_usd:.2f} spent, the next call may cost more")

    def settle(self, reserved: float, usd: float | None) -> None:
        """Replace the reserved dollars of a call by its cost."""
        with self._changed:
            self.reserved -= reserved
            self.spent += usd or 0.0
            self._changed.notify_all()
        if self.whole is not None:
            self.whole.settle(reserved, usd)
