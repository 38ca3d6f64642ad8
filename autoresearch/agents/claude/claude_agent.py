"""A language model as the researcher, through the Messages API: Anthropic's, or any server that speaks it.

Each proposal is a fresh conversation, bounded in turns and tokens. The model edits train.py in memory and ends with a
structured record of what it expects; nothing it says runs anything.
"""

from typing import TYPE_CHECKING, Any, Literal

from autoresearch.agents.base import BadProposal, Proposal, Unusable
from autoresearch.agents.claude import prompts
from autoresearch.agents.claude.client import Request, Server
from autoresearch.agents.claude.conversation import Conversation
from autoresearch.agents.claude.prompts import Role
from autoresearch.agents.claude.tools import EditSession
from autoresearch.agents.lookup import BriefLibrary
from autoresearch.agents.services import Library, Services
from autoresearch.config import Config
from autoresearch.errors import UsageError
from autoresearch.text import Trace, secrets_of_environment

if TYPE_CHECKING:
    from autoresearch.agents.rationale import Record
    from autoresearch.brief.brief import Brief

DEFAULT_MODEL = "claude-opus-5-5"
CHECK_TOKENS = 64


class Claude:
    """Asks a model for one change. Raises UsageError for a cap on unknown prices, Unusable without a key."""

    name = "claude"
    repairs = 2
    thinks: Literal["elsewhere"] = "elsewhere"

    def __init__(self, config: Config, services: Services) -> None:
        self.config, self.services = config, services
        self.model: str | None = config.model or DEFAULT_MODEL
        self.server = Server(config, services)
        for model in self._models():
            if config.max_usd is not None and self.server.prices.of(model) is None:
                raise UsageError(
                    f"max_usd cannot be held: the price of `{model}` is unknown; give it in autoresearch.yaml:"
                    f" `prices: {{{model}: {{input: ..., output: ...}}}}`, dollars for a million tokens"
                )

    def check(self) -> None:
        """Call each model once, for a few tokens. Raises Unusable, Unavailable or Spent."""
        for model in self._models():
            ask = [{"role": "user", "content": [{"type": "text", "text": "Answer with the word: ready"}]}]
            request = Request(model, "You are asked whether you can be reached.", ask, CHECK_TOKENS, purpose="check")
            try:
                self.server.send(request, self._trace())
            except BadProposal as bad:
                raise Unusable(f"{model} cannot be used: {bad}") from None

    def propose(self, brief: "Brief") -> Proposal:
        """One change, from one conversation, or two with a `code_model`."""
        trace = self._trace()
        library = self.services.library or BriefLibrary(brief)
        try:
            desk, record = self._work(brief, library, trace)
        except BadProposal as bad:
            raise BadProposal(trace.clean(str(bad)), bad.params, trace.entries) from None
        rationale = vars(record)
        trace.add("rationale", **rationale)
        said = {"confidence": record.confidence, "source": record.source}
        return Proposal(
            text=desk.text,
            hypothesis=record.hypothesis,
            category=record.category,
            predicted=record.predicted,
            cost_usd=_cost(trace.entries),
            params={name: value for name, value in said.items() if value is not None},
            trace=trace.entries,
        )

    def _work(self, brief: "Brief", library: Library, trace: Trace) -> "tuple[EditSession, Record]":
        parts = [*brief.stable, brief.changing()]
        coder = self.config.code_model
        desk = self._converse("idea" if coder else "propose", self._models()[0], brief, parts, library, trace)
        assert desk.record is not None  # a finished desk of these roles has one
        record = desk.record
        if coder:
            idea = f"{record.hypothesis}\n\n{desk.idea}"
            desk = self._converse("code", coder, brief, prompts.for_coder(brief, idea), library, trace)
        return desk, record

    def _converse(
        self, role: Role, model: str, brief: "Brief", parts: list[str], library: Library, trace: Trace
    ) -> EditSession:
        desk = EditSession(role, brief.source, library)
        Conversation(self.server, desk, model, self.config.edit_format, role, brief.n, trace).hold(parts)
        return desk

    def _models(self) -> list[str]:
        return [model for model in (self.model, self.config.code_model) if model]

    def _trace(self) -> Trace:
        return Trace([*self.server.secrets, *secrets_of_environment()])


def _cost(trace: list[dict[str, Any]]) -> float | None:
    """Dollars of all calls; None if the cost of any is unknown."""
    calls = [entry for entry in trace if entry["kind"] == "call"]
    costs = [entry["cost_usd"] for entry in calls if "cost_usd" in entry]
    return sum(costs) if len(costs) == len(calls) else None
