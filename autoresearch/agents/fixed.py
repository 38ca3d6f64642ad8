"""One change that is there already, from a person or from arithmetic: it only has to be measured."""

from typing import TYPE_CHECKING, Literal

from autoresearch.agents.base import Exhausted, Proposal

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief


class FixedAgent:
    """Proposes one thing, once."""

    model: str | None = None
    repairs = 0
    thinks: Literal["at once"] = "at once"

    def __init__(self, name: str, proposal: Proposal) -> None:
        self.name = name
        self.proposals = [proposal]

    def check(self) -> None:
        """There is nothing that could be missing."""

    def propose(self, brief: "Brief") -> Proposal:
        """The change. Raises Exhausted after it."""
        if not self.proposals:
            raise Exhausted("agent exhausted")
        return self.proposals.pop()
