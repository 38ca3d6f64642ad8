"""Agents: whoever proposes the next version of train.py.

An agent gets a brief and returns text. It never runs git, starts a trial, or types a number or a verdict.

    Exhausted      it has nothing more to propose: the session ends
    Spent          one more call could exceed max_usd: a kind of Exhausted
    BadProposal    this one proposal is broken: the session goes on
    Unavailable    its server is busy or away until about `retry_at`: others may propose meanwhile
    Unusable       it cannot work at all (key, model, credit): one line that says what to mend
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from autoresearch.errors import Blocker

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief


class Exhausted(Exception):
    """The agent has nothing more to propose; the text is the session's reason to end."""


class Spent(Exhausted):
    """The money is spent: the most that the next call can cost does not fit under `max_usd`."""


class BadProposal(Exception):
    """One proposal is broken, and why.

    `params` let the agent find it again in the history, `trace` says how it came about, as in a Proposal.
    """

    def __init__(
        self, reason: str, params: dict[str, Any] | None = None, trace: list[dict[str, Any]] | None = None
    ) -> None:
        super().__init__(reason)
        self.params = params or {}
        self.trace = trace or []


class Unavailable(Exception):
    """The agent cannot be asked now; it is worth another try at `retry_at` (unix seconds)."""

    def __init__(self, reason: str, retry_at: float) -> None:
        super().__init__(reason)
        self.retry_at = retry_at


class Unusable(Blocker):
    """The agent cannot work until the user mends something."""


@dataclass(frozen=True)
class Proposal:
    """One change to try: the whole new text of train.py, and why.

    `predicted` is the expected change of val_bpb (negative is better), `cost_usd` what the proposal cost,
    `params` what the agent wants to find again in the history, `trace` how it was made.
    """

    text: str
    hypothesis: str
    category: str = "other"
    predicted: float | None = None
    cost_usd: float | None = None
    params: dict[str, Any] = field(default_factory=dict)
    trace: list[dict[str, Any]] = field(default_factory=list)
    mode: str | None = None
    """What it is, where nobody was asked for it: `revert` or `prune` take kept changes out."""


class Agent(Protocol):
    """What the session asks for; all that an agent remembers is in the brief."""

    @property
    def name(self) -> str:
        """As the ledger shows it."""

    @property
    def model(self) -> str | None:
        """The language model behind it, if any."""

    @property
    def thinks(self) -> Literal["at once", "here", "elsewhere"]:
        """Where a proposal takes its time: if it does, it is asked for while trials run, here only beside their cores."""

    @property
    def repairs(self) -> int:
        """How often a refused proposal may come back with the reason, before it is recorded as refused."""

    def check(self) -> None:
        """Cheaply, before any trial: could it propose? Raises Unusable, Unavailable or Spent."""

    def propose(self, brief: "Brief") -> Proposal:
        """The next change. Raises Exhausted (or Spent), BadProposal, Unavailable, Unusable."""
