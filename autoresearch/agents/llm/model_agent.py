"""A language model as the agent, whatever API its server speaks."""

from dataclasses import replace
from typing import TYPE_CHECKING

from autoresearch.agents.base import BadProposal, Conversed, Deliver, Latency, Proposal, Unusable
from autoresearch.agents.llm.api import Api
from autoresearch.agents.llm.client import Server
from autoresearch.agents.llm.conversation import Conversation
from autoresearch.agents.llm.messages import Request, UserTurn
from autoresearch.agents.llm.prices import Prices
from autoresearch.agents.llm.tools import TEST_TOOL, DeliverText, EditSession
from autoresearch.agents.lookup import BriefLibrary
from autoresearch.agents.rationale import Rationale
from autoresearch.agents.services import Library, Services
from autoresearch.agents.trial_tools import Role
from autoresearch.brief.source_code import show_source
from autoresearch.brief.tokens import quote
from autoresearch.config import FILE, Config, how_to_price
from autoresearch.errors import UsageError
from autoresearch.files import JsonObject
from autoresearch.text import Trace, secrets_of_environment

if TYPE_CHECKING:
    from autoresearch.brief.brief import Brief

CHECK_TOKENS = 64


class ModelAgent:
    """Ask a model for changes. Raises UsageError for `max_usd` with unknown prices."""

    name: str
    checks_tools = False  # whether tools are part of the test of the connection: not all servers have them
    repairs = 2
    proposes: Latency = "remotely"

    def __init__(self, model: str, api: Api, prices: Prices, config: Config, services: Services) -> None:
        self.config, self.services = config, services
        self.model: str | None = model
        self.server = Server(api, prices, config, services)
        for each in self._models():
            if config.max_usd is not None and prices.price(each) is None:
                raise UsageError(
                    f"max_usd is set, but the price of `{each}` is unknown: give it,"
                    f" {how_to_price([each])}, dollars for a million tokens;"
                    f" or remove `max_usd` from {FILE}, or leave out --max-usd"
                )

    def check(self) -> None:
        """Call each model once, for a few tokens. Raises Unusable, Unavailable or Spent."""
        for model in self._models():
            try:
                self.server.send(self._test(model), self._trace())
            except BadProposal as bad:
                raise Unusable(f"{model} cannot be used: {bad}") from None

    def _test(self, model: str) -> Request:
        """Return a request that tests the connection."""
        system, question = "This is a test of the connection.", UserTurn(["Answer with the word: ready"])
        tools = [TEST_TOOL] if self.checks_tools and self.config.edit_format == "tools" else ()
        return Request(model, system, [question], CHECK_TOKENS, tools, purpose="check")

    def propose(self, brief: "Brief") -> Proposal:
        """Get one change from a conversation."""
        made = list[Proposal]()
        conversed = self.converse(replace(brief, proposals=1), made.append)
        return replace(made[0], trace=[*conversed.trace, *made[0].trace], cost_usd=conversed.cost_usd)

    def converse(self, brief: "Brief", deliver: Deliver) -> Conversed:
        """Get as many changes as the brief wants from one conversation; one from two with a `code_model`."""
        trace, library = self._trace(), self.services.library or BriefLibrary(brief)

        def pass_on(text: str, record: Rationale) -> str | None:
            return deliver(record.proposal(text, None, [{"kind": "rationale", **trace.clean(vars(record))}]))

        try:
            if self.config.code_model is None:
                self._change(brief, library, trace, pass_on)
            elif reason := pass_on(*self._think_then_code(brief, self.config.code_model, library, trace)):
                raise BadProposal(reason)
        except BadProposal as bad:
            raise BadProposal(trace.clean(str(bad)), bad.params, trace.entries) from None
        return Conversed(trace.entries, _cost(trace.entries))

    def _change(self, brief: "Brief", library: Library, trace: Trace, deliver: DeliverText) -> None:
        work = self._session("propose", brief, brief.source, library, brief.proposals, deliver)
        Conversation(self.server, work, self._models()[0], brief.n, trace).run([*brief.stable, brief.changing()])

    def _think_then_code(self, brief: "Brief", coder: str, library: Library, trace: Trace) -> tuple[str, Rationale]:
        """Return the text that a second model writes for the idea of the first, and the record of the idea."""
        first = self._session("idea", brief, brief.source, library)
        Conversation(self.server, first, self._models()[0], brief.n, trace).run([*brief.stable, brief.changing()])
        assert first.record is not None  # set when a session with this role is finished
        second = self._session("code", brief, first.before, library)
        idea = quote("researcher", f"{first.record.hypothesis}\n\n{first.idea}")
        code = "\n\n".join([*brief.about_trial, show_source(first.before, "")])
        parts = [code, f"# The idea\n\n{idea}"]
        Conversation(self.server, second, coder, brief.n, trace).run(parts)
        return second.text, first.record

    def _session(
        self,
        role: Role,
        brief: "Brief",
        text: str,
        library: Library,
        wanted: int = 1,
        deliver: DeliverText = lambda text, record: None,
    ) -> EditSession:
        rules, task, metric = brief.rules, brief.task, brief.metric
        return EditSession(role, text, library, self.services.tools, wanted, deliver, rules, task, metric)

    def _models(self) -> list[str]:
        return [model for model in (self.model, self.config.code_model) if model]

    def _trace(self) -> Trace:
        return Trace([*self.server.api.secrets, *secrets_of_environment()])


def _cost(trace: list[JsonObject]) -> float | None:
    """Return the dollars of all calls; None if the cost of one is unknown."""
    calls = [entry for entry in trace if entry["kind"] == "call"]
    return sum(call["cost_usd"] for call in calls) if all("cost_usd" in call for call in calls) else None
