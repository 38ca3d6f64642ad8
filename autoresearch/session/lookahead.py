"""How many candidates to keep ready, and how many to ask for in one conversation.

An agent should know as many results as possible, so candidates are prepared early only where slots would wait for it.
"""

from dataclasses import dataclass

from autoresearch.ledger.queries import PaceOfWork, pace_of_work
from autoresearch.session.context import SessionContext

RECENT_PROPOSALS = 5
ASSUMED_LATENCY_S = 60.0  # of a model, until it has been measured
MIN_AHEAD_OF_SLOW = 2  # candidates for each slot, where a conversation takes longer than a trial
MAX_AHEAD = 4  # candidates for each slot


@dataclass(frozen=True)
class Lookahead:
    """Plan ahead for `slots` from the session's own times; at most `proposals` come from one conversation."""

    context: SessionContext
    slots: int
    proposals: int = 1

    def ahead(self) -> int:
        """Return how many candidates to keep ready: one for each slot, more where the agent is slower than a trial."""
        pace = self._pace()
        if pace.conversation is None or pace.trial is None or pace.conversation <= pace.trial:
            return self.slots
        wanted = self.slots + self._used_meanwhile(pace.trial, pace.conversation)
        return min(max(wanted, MIN_AHEAD_OF_SLOW * self.slots), MAX_AHEAD * self.slots)

    def proposals_wanted(self, ready: int) -> int:
        """Return how many proposals to ask for now: as many as will be missing at the end of the conversation."""
        pace = self._pace()
        used = self._used_meanwhile(pace.trial, ASSUMED_LATENCY_S if pace.conversation is None else pace.conversation)
        return min(max(self.ahead() - ready + used - 1, 1), self.proposals)

    def _pace(self) -> PaceOfWork:
        return pace_of_work(self.context.ledger, self.context.row, RECENT_PROPOSALS)

    def _used_meanwhile(self, trial: float | None, seconds: float) -> int:
        """Return how many candidates the slots take on in so many seconds if each needs one trial, as most do."""
        return round(self.slots * seconds / trial) if trial else 0
