"""A language model as the agent, through the Messages API: Anthropic's, or any server that speaks it."""

from typing import TYPE_CHECKING

from autoresearch.agents.base import BadProposal, Latency, Proposal, Unusable
from autoresearch.agents.claude.client import Request, Server
from autoresearch.agents.claude.conversation import Conversation
from autoresearch.agents.claude.prompts import text_block
from autoresearch.agents.claude.tools import EditSession
from autoresearch.agents.lookup import BriefLibrary
from autoresearch.agents.services import Library, Services
from autoresearch.brief.tokens import quote
from autoresearch.config import Config
from autoresearch.errors import UsageError
from autoresearch.files import JsonObject
from autoresearch.text import Trace, secrets_of_environment

if TYPE_CHECKING:
    from autoresearch.agents.rationale import Rationale
    from autoresearch.brief.brief import Brief

DEFAULT_MODEL = "claude-opus-5-5"
CHECK_TOKENS = 64


class Claude:
    """Ask a model for one change. Raises UsageError for `max_usd` with unknown prices, Unusable without a key."""

    name = "claude"
    repairs = 2
    proposes: Latency = "remotely"

    def __init__(self, config: Config, services: Services) -> None:
        self.config, self.services = config, services
        self.model: str | None = config.model or DEFAULT_MODEL
        self.server = Server(config, services)
        for model in self._models():
            if config.max_usd is not None and self.server.prices.price(model) is None:
                raise UsageError(
                    f"max_usd is set, but the price of `{model}` is unknown: give it in autoresearch.yaml:"
                    f" `prices: {{{model}: {{input: ..., output: ...}}}}`, dollars for a million tokens"
                )

    def check(self) -> None:
        """Call each model once, for a few tokens. Raises Unusable, Unavailable or Spent."""
        for model in self._models():
            question = [{"role": "user", "content": [text_block("Answer with the word: ready")]}]
            request = Request(model, "This is a test of the connection.", question, CHECK_TOKENS, purpose="check")
            try:
                self.server.send(request, self._trace())
            except BadProposal as bad:
                raise Unusable(f"{model} cannot be used: {bad}") from None

    def propose(self, brief: "Brief") -> Proposal:
        """Get one change from one conversation, or from two with a `code_model`."""
        trace = self._trace()
        try:
            text, record = self._converse(brief, self.services.library or BriefLibrary(brief), trace)
        except BadProposal as bad:
            raise BadProposal(trace.clean(str(bad)), bad.params, trace.entries) from None
        trace.add("rationale", **vars(record))
        return record.proposal(text, _cost(trace.entries), trace.entries)

    def _converse(self, brief: "Brief", library: Library, trace: Trace) -> "tuple[str, Rationale]":
        """Return the new text and the record."""
        coder = self.config.code_model
        first = EditSession("idea" if coder else "propose", brief.source, library, tools=self.services.tools)
        Conversation(self.server, first, self._models()[0], brief.n, trace).run([*brief.stable, brief.changing()])
        assert first.record is not None  # set when a session with this role is finished
        if not coder:
            return first.text, first.record
        second = EditSession("code", brief.source, library, tools=self.services.tools)
        idea = quote("researcher", f"{first.record.hypothesis}\n\n{first.idea}")
        parts = [f"# train.py\n\n```python\n{brief.source}```", f"# The idea\n\n{idea}"]
        Conversation(self.server, second, coder, brief.n, trace).run(parts)
        return second.text, first.record

    def _models(self) -> list[str]:
        return [model for model in (self.model, self.config.code_model) if model]

    def _trace(self) -> Trace:
        return Trace([*self.server.secrets, *secrets_of_environment()])


def _cost(trace: list[JsonObject]) -> float | None:
    """Return the dollars of all calls; None if the cost of one is unknown."""
    calls = [entry for entry in trace if entry["kind"] == "call"]
    return sum(call["cost_usd"] for call in calls) if all("cost_usd" in call for call in calls) else None
