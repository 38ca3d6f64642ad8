"""Propose one change that exists already: it only has to be measured."""

from typing import TYPE_CHECKING, Literal

from autoresearch.agents.base import Exhausted, Proposal

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief


class FixedAgent:
    """Return one proposal, once."""

    model: str | None = None
    repairs = 0
    proposes: Literal["instantly"] = "instantly"

    def __init__(self, name: str, proposal: Proposal) -> None:
        self.name = name
        self.proposals = [proposal]

    def check(self) -> None:
        """Do nothing: it needs nothing."""

    def propose(self, brief: "Brief") -> Proposal:
        """Return the change. Raises Exhausted after that."""
        if not self.proposals:
            raise Exhausted("agent exhausted")
        return self.proposals.pop()
