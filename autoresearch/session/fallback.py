"""Who proposes next when the agent is broken or away: a small state machine without a clock of its own.

Some broken proposals in a row: ask in another mode. Some more: a stand-in (`sweep`) proposes for a while, then the
agent is tried again, on probation: one more broken proposal sends it away for twice as long. A good one wipes the
slate. A server that is away until some time is stood in for until then, and nothing is held against the agent.
"""

from dataclasses import dataclass, replace
from typing import Literal

CHANGE_MODE = 3  # broken proposals in a row, after which the mode changes
STAND_IN = 6  # and after which the stand-in takes over
FIRST_ABSENCE = 600.0  # s, doubled each time ...
LONGEST_ABSENCE = 3600.0  # ... up to this

Turn = Literal["agent", "other mode", "stand-in"]


@dataclass(frozen=True)
class AgentHealth:
    """How far the agent is trusted now: broken proposals in a row, absences in a row, absent until (unix seconds)."""

    broken: int = 0
    absences: int = 0
    until: float = 0.0

    def turn(self, now: float) -> Turn:
        """Who proposes now, and whether in another mode."""
        if now < self.until:
            return "stand-in"
        return "other mode" if self.broken >= CHANGE_MODE else "agent"

    def after_good(self) -> "AgentHealth":
        """The agent made a proposal that may be measured."""
        return AgentHealth()

    def after_broken(self, now: float) -> "AgentHealth":
        """The agent made a broken one."""
        broken = self.broken + 1
        if broken < STAND_IN and not self.absences:
            return replace(self, broken=broken)
        absence = min(FIRST_ABSENCE * 2.0**self.absences, LONGEST_ABSENCE)
        return AgentHealth(broken, self.absences + 1, now + absence)

    def after_unavailable(self, retry_at: float) -> "AgentHealth":
        """The agent's server is away until about then."""
        return replace(self, until=max(self.until, retry_at))
