"""The protocol of agents, which propose the next version of train.py.

An agent gets a brief and returns text. It never runs git, starts a trial, or types a number or a verdict.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from autoresearch.errors import Blocker
from autoresearch.files import JsonObject

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

Latency = Literal["instantly", "locally", "remotely"]


class Exhausted(Exception):
    """The agent has nothing more to propose; the text is the session's reason to end."""


class Spent(Exhausted):
    """The most that the next call can cost does not fit under `max_usd`."""


class BadProposal(Exception):
    """One proposal is broken; the text says why, and the session goes on. `params` and `trace` are as in a Proposal."""

    def __init__(self, reason: str, params: JsonObject | None = None, trace: list[JsonObject] | None = None) -> None:
        super().__init__(reason)
        self.params = params or {}
        self.trace = trace or []


class Unavailable(Exception):
    """The agent cannot be asked before about `retry_at` (unix seconds); others may propose."""

    def __init__(self, reason: str, retry_at: float) -> None:
        super().__init__(reason)
        self.retry_at = retry_at


class Unusable(Blocker):
    """The agent cannot work until the user corrects something (key, model, credit)."""


@dataclass(frozen=True)
class Proposal:
    """One change to try: the whole new text of train.py, and why.

    `predicted` is the expected change of the number, with its own sign (`Metric.raw_change`), `cost_usd` the cost of
    the proposal, `params` data that the agent finds again in the history, `trace` the steps that led to the proposal.
    `opening` is the opening of the brief that it took, in its words, `start_from` the experiment whose text it changed
    (None: the incumbent), `same_as` the one whose function this text computes, as a check of ours in a cell found
    (never what an agent says). `mode` is set if no agent was asked: `revert` or `prune` remove kept changes.
    """

    text: str
    hypothesis: str
    category: str = "other"
    predicted: float | None = None
    cost_usd: float | None = None
    params: JsonObject = field(default_factory=dict)
    trace: list[JsonObject] = field(default_factory=list)
    mode: str | None = None
    opening: str | None = None
    start_from: int | None = None
    same_as: int | None = None


@dataclass(frozen=True)
class Conversed:
    """Trace and cost of a whole conversation; `cost_usd` is None if it is unknown."""

    trace: list[JsonObject]
    cost_usd: float | None


Deliver = Callable[[Proposal], str | None]  # takes a proposal as soon as it is made; returns why it is refused


class Agent(Protocol):
    """Propose changes. An agent has no state of its own: everything it has to remember is in the brief.

    `name` is for the ledger. A refused proposal may be corrected `repairs` times before it is recorded as refused. If
    proposals take time, they are asked for during trials, those made `locally` only on free cores.
    """

    name: str
    model: str | None
    repairs: int
    proposes: Latency

    def check(self) -> None:
        """Check at little cost, before any trial, that the agent can propose. Raises Unusable, Unavailable or Spent."""

    def propose(self, brief: "Brief") -> Proposal:
        """Return the next change. Raises Exhausted (or Spent), BadProposal, Unavailable, Unusable."""


@runtime_checkable
class Conversational(Agent, Protocol):
    """An agent that can make several independent changes in one conversation."""

    def converse(self, brief: "Brief", deliver: Deliver) -> Conversed:
        """Make up to `brief.proposals` changes, and deliver each before the next one is begun.

        A reason for which one is refused belongs into the conversation. Raises as `propose` does, unless a proposal was
        delivered.
        """


class InstantAgent:
    """Base of the agents that need neither a model nor time."""

    model: str | None = None
    repairs = 0
    proposes: Latency = "instantly"

    def check(self) -> None:
        """Do nothing: the agent is always ready."""
