"""Attempts of agents at one proposal: what they return, and the reasons for which it is refused."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from autoresearch.agents.base import (
    Agent,
    BadProposal,
    Conversational,
    Conversed,
    Deliver,
    Exhausted,
    Proposal,
    Unavailable,
)
from autoresearch.errors import describe_failure, format_traceback, is_unexpected
from autoresearch.files import JsonObject
from autoresearch.source.lines import written_like

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

T = TypeVar("T", Proposal, Conversed)
UNSTORABLE = "it holds characters that UTF-8 cannot"


@dataclass
class Attempts:
    """Collect the traces of all attempts in `trace`."""

    trace: list[JsonObject] = field(default_factory=list)

    def ask(self, agent: Agent, brief: "Brief") -> Proposal:
        """Return a proposal that git and the ledger can store, written as the text that it changes.

        Raises Exhausted, Unavailable, UserError, and BadProposal also for an unexpected error of the agent.
        """
        proposal = self._ask(lambda: agent.propose(brief))
        if not _can_be_stored(proposal):
            raise BadProposal(UNSTORABLE)
        self.trace += proposal.trace
        return _written_like(brief, proposal)

    def converse(self, agent: Conversational, brief: "Brief", deliver: Deliver) -> Conversed:
        """Have proposals delivered as `ask` returns them. Raises as `ask` does, unless one was delivered."""

        def pass_on(proposal: Proposal) -> str | None:
            return deliver(_written_like(brief, proposal)) if _can_be_stored(proposal) else UNSTORABLE

        conversed = self._ask(lambda: agent.converse(brief, pass_on))
        self.trace += conversed.trace
        return conversed

    def _ask(self, call: Callable[[], T]) -> T:
        try:
            return call()
        except BadProposal as bad:
            self.trace += bad.trace
            raise
        except (Exhausted, Unavailable):
            raise
        except Exception as error:
            if not is_unexpected(error):
                raise
            self.note_failure(error)
            raise BadProposal(describe_failure(error)) from error

    def note_failure(self, error: Exception) -> None:
        """Add the traceback of an unexpected error."""
        self.trace.append({"kind": "failed", "text": format_traceback(error)})

    def send_back(self, brief: "Brief", reason: str) -> None:
        """Tell the next attempt why this one is refused."""
        brief.feedback.append(reason)
        self.trace.append({"kind": "sent back", "text": reason})


def _can_be_stored(proposal: Proposal) -> bool:
    try:
        f"{proposal.text}{proposal.hypothesis}".encode()
    except UnicodeEncodeError:
        return False
    return True


def _written_like(brief: "Brief", proposal: Proposal) -> Proposal:
    return replace(proposal, text=written_like(brief.source, proposal.text))
