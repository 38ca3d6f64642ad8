"""The next proposer when the agent is broken or away, as a state machine without a clock.

After some broken proposals in a row the agent is asked in another mode; after some more, a stand-in (`sweep`) proposes
for a while. Then the agent is tried again, and one more broken proposal sends it away for twice as long. A good
proposal resets everything. While a server is away the stand-in proposes, and nothing counts against the agent.
"""

from dataclasses import dataclass, replace
from typing import Literal

CHANGE_MODE_AFTER = 3  # broken proposals in a row
STAND_IN_AFTER = 6  # broken proposals in a row
FIRST_ABSENCE_S = 600.0  # doubled each time ...
LONGEST_ABSENCE_S = 3600.0  # ... up to this

Turn = Literal["agent", "other mode", "stand-in"]


@dataclass(frozen=True)
class AgentHealth:
    """Broken proposals and absences in a row; the agent is away `until` (on the clock of `since_boot`)."""

    broken: int = 0
    absences: int = 0
    until: float = 0.0

    def turn(self, now: float) -> Turn:
        if now < self.until:
            return "stand-in"
        return "other mode" if self.broken >= CHANGE_MODE_AFTER else "agent"

    def after_good(self) -> "AgentHealth":
        return AgentHealth()

    def after_broken(self, now: float) -> "AgentHealth":
        broken = self.broken + 1
        if broken < STAND_IN_AFTER and not self.absences:
            return replace(self, broken=broken)
        absence = min(FIRST_ABSENCE_S * 2.0**self.absences, LONGEST_ABSENCE_S)
        return AgentHealth(broken, self.absences + 1, now + absence)

    def after_unavailable(self, retry_at: float) -> "AgentHealth":
        """Return the state after the server said when it will be back."""
        return replace(self, until=max(self.until, retry_at))
