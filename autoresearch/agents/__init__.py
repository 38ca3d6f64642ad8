"""Agents: whoever proposes the next version of train.py.

An agent gets a brief and returns text. It never runs git, starts a trial, or types a number or a verdict.

    Exhausted      it has nothing more to propose: the session ends
    BadProposal    this one proposal is broken: the session goes on
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from autoresearch.errors import UsageError

if TYPE_CHECKING:
    from autoresearch.brief import Brief

CATEGORIES = (
    "architecture",
    "optimiser",
    "schedule",
    "data-order",
    "numerics",
    "throughput",
    "regularisation",
    "simplification",
    "bug",
    "other",
)


class Exhausted(Exception):
    """The agent has nothing more to propose; the text is the session's reason to end."""


class BadProposal(Exception):
    """One proposal is broken, and why; `params` let the agent find it again in the history."""

    def __init__(self, reason: str, params: dict[str, Any] | None = None) -> None:
        super().__init__(reason)
        self.params = params or {}


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


class Agent(Protocol):
    """What the session asks for; all that an agent remembers is in the brief."""

    @property
    def name(self) -> str:
        """As the ledger shows it."""

    @property
    def model(self) -> str | None:
        """The language model behind it, if any."""

    @property
    def repairs(self) -> int:
        """How often a refused proposal may come back with the reason, before it is recorded as refused."""

    def propose(self, brief: "Brief") -> Proposal:
        """The next change. Raises Exhausted or BadProposal."""


def create(spec: str) -> Agent:
    """The agent that `--agent SPEC` names: `sweep` or `scripted:DIR`. Raises UsageError."""
    kind, _, argument = spec.partition(":")
    if kind == "sweep" and not argument:
        from autoresearch.agents.sweep import Sweep

        return Sweep()
    if kind == "scripted" and argument:
        from autoresearch.agents.scripted import Scripted

        return Scripted(Path(argument))
    raise UsageError(f"there is no agent `{spec}`: use `sweep` or `scripted:DIR`")
