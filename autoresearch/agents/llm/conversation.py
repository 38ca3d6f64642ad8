"""One conversation with a model, from the brief to a finished proposal: a bounded number of turns."""

import time
from dataclasses import dataclass

from autoresearch.agents.base import BadProposal, Exhausted, Unavailable, Unusable
from autoresearch.agents.llm.client import Server
from autoresearch.agents.llm.hints import hints
from autoresearch.agents.llm.messages import Reply, Request, ToolCall, ToolResult, Turn, UserTurn
from autoresearch.agents.llm.prompts import system
from autoresearch.agents.llm.tools import EditSession
from autoresearch.text import Trace

MAX_REPLIES = 20  # for one proposal
MAX_IDLE_REPLIES = 3  # of these, replies without a tool call or cut off
MAX_OUTPUT = 3  # times `max_tokens`: all output for one proposal
MAX_QUOTE_CHARS = 200


@dataclass
class Conversation:
    """Ask `model` until the work is finished. Raises BadProposal, and what Server.send raises.

    Proposals that were made before a failure are good: then nothing is raised.
    """

    server: Server
    work: EditSession
    model: str
    n: int
    trace: Trace

    def run(self, parts: list[str]) -> None:
        """Run the conversation. `parts` are the texts of the brief, stable ones first; the last is new each time."""
        try:
            self._run(parts)
        except (BadProposal, Exhausted, Unavailable, Unusable):
            if not self.work.made:
                raise

    def _run(self, parts: list[str]) -> None:
        self.trace.add("prompt", model=self.model, purpose=self.work.role, text="\n\n".join(parts))
        turns: list[Turn] = [UserTurn(parts)]
        written = idle = 0
        for _ in range(self.work.wanted * MAX_REPLIES):
            reply = self._ask(turns)
            if self.work.made and not reply.calls:
                return  # it has no more to propose
            answer = self._answer(reply)
            if self.work.finished:
                return
            written += reply.output_tokens
            idle += not reply.calls or reply.stop_reason == "max_tokens"
            if idle >= MAX_IDLE_REPLIES or written >= self.work.wanted * MAX_OUTPUT * self.server.config.max_tokens:
                break
            turns += [reply] if answer is None else [reply, answer]
        raise BadProposal(
            f"no proposal from {self.model}: {_ending(reply)}{hints(reply, self.server.config.edit_format)}"
        )

    def _ask(self, turns: list[Turn]) -> Reply:
        config = self.server.config
        request = Request(
            model=self.model,
            system=system(self.work.role, config.edit_format, self.work.task, self.work.given, self.work.metric),
            turns=list(turns),
            max_tokens=config.max_tokens,
            tools=self.work.definitions() if config.edit_format == "tools" else (),
            purpose=self.work.role,
            n=self.n,
        )
        reply = self.server.send(request, self.trace)
        if reply.thoughts:
            self.trace.add("thoughts", text=reply.thoughts)
        self.trace.add("reply", text=reply.text, stop_reason=reply.stop_reason)
        return reply

    def _answer(self, reply: Reply) -> UserTurn | None:
        """Return the next turn; None if the model only paused."""
        if reply.stop_reason == "refusal":
            raise BadProposal(f"{self.model} refused ({reply.refusal or 'no reason given'})")
        if reply.stop_reason == "model_context_window_exceeded":
            raise BadProposal(f"the conversation is too long for {self.model}")
        if reply.stop_reason == "pause_turn":
            return None
        cut = reply.stop_reason == "max_tokens"
        if calls := reply.calls:
            return UserTurn(results=[self._result(call, cut and call is calls[-1]) for call in calls])
        if cut:
            return UserTurn(["Your reply was cut off at its maximum length. Think less, change less, and finish."])
        return UserTurn([self._read(reply.text)])

    def _result(self, call: ToolCall, cut: bool) -> ToolResult:
        began = time.monotonic()
        if cut:
            result, wrong = "the call was cut off: your reply was too long. Change less at once.", True
        elif self.work.finished:
            result, wrong = "the proposal is made already", True
        else:
            result, wrong = self.work.use(call.name, call.input)
        seconds = round(time.monotonic() - began, 3)
        self.trace.add("tool", name=call.name, input=call.input, result=result, error=wrong, seconds=seconds)
        return ToolResult(call.id, result, wrong)

    def _read(self, text: str) -> str:
        """Read the proposal from plain text, which some models write even if there are tools; return the answer."""
        try:
            self.work.read(text)
        except ValueError as error:
            tools = self.server.config.edit_format == "tools"
            how = "Use the tools, and end with a tool call." if tools else "Keep to the form asked for."
            return f"No proposal yet: {error}. {how} The search is not over: propose the best change you can think of."
        return ""


def _ending(reply: Reply) -> str:
    quote = " ".join(reply.text.split())
    return f'it said "{quote[:MAX_QUOTE_CHARS]}"' if quote else f"its last reply ended with {reply.stop_reason}"
