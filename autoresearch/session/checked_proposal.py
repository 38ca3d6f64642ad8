"""A proposal of an agent after the checks that come before any training."""

from dataclasses import dataclass

from autoresearch.agents.base import Agent, Proposal
from autoresearch.brief.brief import Brief
from autoresearch.files import JsonObject


@dataclass(frozen=True)
class Refusal:
    """The verdict (`invalid` or `duplicate`) and the reason for a proposal not to be measured."""

    verdict: str
    reason: str

    def __str__(self) -> str:
        return f"{self.verdict}: {self.reason}"


@dataclass(frozen=True)
class CheckedProposal:
    """A proposal, its agent, the brief that it answers, and the refusal if it is refused."""

    proposal: Proposal
    agent: Agent
    brief: Brief
    refusal: Refusal | None
    trace: list[JsonObject]  # how it was made, with the attempts that failed

    def whole_trace(self, made: list[JsonObject]) -> list[JsonObject]:
        """Return the brief, and the entries on how the proposal was made."""
        return [{"kind": "brief", "text": self.brief.render()}, *made]
