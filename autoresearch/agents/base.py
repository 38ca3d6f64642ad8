"""The protocol of agents, which propose the next version of train.py.

An agent gets a brief and returns text. It never runs git, starts a trial, or types a number or a verdict.

    Exhausted      it has nothing more to propose: the session ends
    Spent          one more call could exceed max_usd: a kind of Exhausted
    BadProposal    this one proposal is broken: the session goes on
    Unavailable    its server is busy or away until about `retry_at`: others may propose meanwhile
    Unusable       it cannot work at all (key, model, credit): one line that says what to correct
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from autoresearch.errors import Blocker
from autoresearch.files import JsonObject

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief


class Exhausted(Exception):
    """The agent has nothing more to propose; the text is the session's reason to end."""


class Spent(Exhausted):
    """The most that the next call can cost does not fit under `max_usd`."""


class BadProposal(Exception):
    """One proposal is broken; the text says why. `params` and `trace` are as in a Proposal."""

    def __init__(self, reason: str, params: JsonObject | None = None, trace: list[JsonObject] | None = None) -> None:
        super().__init__(reason)
        self.params = params or {}
        self.trace = trace or []


class Unavailable(Exception):
    """The agent cannot be asked now, but again at `retry_at` (unix seconds)."""

    def __init__(self, reason: str, retry_at: float) -> None:
        super().__init__(reason)
        self.retry_at = retry_at


class Unusable(Blocker):
    """The agent cannot work until the user corrects something."""


@dataclass(frozen=True)
class Proposal:
    """One change to try: the whole new text of train.py, and why.

    `predicted` is the expected change of val_bpb (negative is better), `cost_usd` the cost of the proposal, `params`
    data that the agent finds again in the history, `trace` the steps that led to the proposal. `mode` is set if no
    agent was asked: `revert` or `prune` remove kept changes.
    """

    text: str
    hypothesis: str
    category: str = "other"
    predicted: float | None = None
    cost_usd: float | None = None
    params: JsonObject = field(default_factory=dict)
    trace: list[JsonObject] = field(default_factory=list)
    mode: str | None = None


class Agent(Protocol):
    """Propose changes. An agent has no state of its own: everything it has to remember is in the brief."""

    @property
    def name(self) -> str:
        """Return the name in the ledger."""

    @property
    def model(self) -> str | None:
        """Return the language model, if there is one."""

    @property
    def proposes(self) -> Literal["instantly", "locally", "remotely"]:
        """Return where a proposal takes time: then it is asked for during trials, `locally` only on free cores."""

    @property
    def repairs(self) -> int:
        """Return how often a refused proposal may be corrected before it is recorded as refused."""

    def check(self) -> None:
        """Find out at little cost, before any trial, if it can propose. Raises Unusable, Unavailable or Spent."""

    def propose(self, brief: "Brief") -> Proposal:
        """Return the next change. Raises Exhausted (or Spent), BadProposal, Unavailable, Unusable."""
