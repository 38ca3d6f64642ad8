"""One conversation with a model, from the brief to a finished proposal: a bounded number of turns."""

from dataclasses import dataclass

from autoresearch.agents.base import BadProposal, Exhausted, Unavailable
from autoresearch.agents.claude.client import Request, Server
from autoresearch.agents.claude.hints import hints
from autoresearch.agents.claude.prompts import mark_for_cache, system, text_block
from autoresearch.agents.claude.stream import Reply
from autoresearch.agents.claude.tools import EditSession
from autoresearch.files import JsonObject
from autoresearch.text import Trace

MAX_REPLIES = 14  # for one proposal
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
        except (BadProposal, Exhausted, Unavailable):
            if not self.work.made:
                raise

    def _run(self, parts: list[str]) -> None:
        # a request may have four cache marks: on the parts of the brief, and a moving one; the first covers tools and
        # system, too
        blocks = [mark_for_cache(text_block(part), "1h") for part in parts[:-1]]
        blocks.append(mark_for_cache(text_block(parts[-1]), "5m"))
        self.trace.add("prompt", model=self.model, purpose=self.work.role, text="\n\n".join(parts))
        messages: list[JsonObject] = [{"role": "user", "content": blocks}]
        written = idle = 0
        for _ in range(self.work.wanted * MAX_REPLIES):
            reply = self._ask(messages)
            if self.work.made and not reply.calls:
                return  # it has no more to propose
            answer = self._answer(reply)
            if self.work.finished:
                return
            written += reply.usage.output
            idle += not reply.calls or reply.stop_reason == "max_tokens"
            if idle >= MAX_IDLE_REPLIES or written >= self.work.wanted * MAX_OUTPUT * self.server.config.max_tokens:
                break
            if reply.content:
                messages.append({"role": "assistant", "content": reply.content})
            if answer:
                messages.append({"role": "user", "content": _move_mark(answer, messages)})
        raise BadProposal(
            f"no proposal from {self.model}: {_ending(reply)}{hints(reply, self.server.config.edit_format)}"
        )

    def _ask(self, messages: list[JsonObject]) -> Reply:
        config = self.server.config
        request = Request(
            model=self.model,
            system=system(self.work.role, config.edit_format),
            messages=messages,
            max_tokens=config.max_tokens,
            tools=self.work.definitions() if config.edit_format == "tools" else [],
            purpose=self.work.role,
            n=self.n,
        )
        reply = self.server.send(request, self.trace)
        if reply.thoughts:
            self.trace.add("thoughts", text=reply.thoughts)
        self.trace.add("reply", text=reply.text, stop_reason=reply.stop_reason)
        return reply

    def _answer(self, reply: Reply) -> list[JsonObject]:
        """Return the blocks to send next; none if the model only paused."""
        if reply.stop_reason == "refusal":
            raise BadProposal(f"{self.model} refused ({reply.refusal or 'no reason given'})")
        if reply.stop_reason == "model_context_window_exceeded":
            raise BadProposal(f"the conversation is too long for {self.model}")
        if reply.stop_reason == "pause_turn":
            return []
        cut = reply.stop_reason == "max_tokens"
        if calls := reply.calls:
            return [self._result(call, cut and call is calls[-1]) for call in calls]
        if cut:
            return [text_block("Your reply was cut off at its maximum length. Think less, change less, and finish.")]
        return [text_block(self._read(reply.text))]

    def _result(self, call: JsonObject, cut: bool) -> JsonObject:
        name, values = call["name"], call["input"]
        if cut:
            result, wrong = "the call was cut off: your reply was too long. Change less at once.", True
        elif self.work.finished:
            result, wrong = "the proposal is made already", True
        else:
            result, wrong = self.work.use(name, values)
        self.trace.add("tool", name=name, input=values, result=result, error=wrong)
        return {"type": "tool_result", "tool_use_id": call["id"], "content": result, "is_error": wrong}

    def _read(self, text: str) -> str:
        """Read the proposal from plain text, which some models write even if there are tools; return the answer."""
        try:
            self.work.read(text)
        except ValueError as error:
            tools = self.server.config.edit_format == "tools"
            how = "Use the tools, and end with a tool call." if tools else "Keep to the form asked for."
            return f"No proposal yet: {error}. {how} The search is not over: propose the best change you can think of."
        return ""


def _move_mark(answer: list[JsonObject], messages: list[JsonObject]) -> list[JsonObject]:
    """Mark the end of the answer for the cache, and unmark earlier answers: a request may have only four marks."""
    for message in messages[1:]:
        for block in message["content"]:
            block.pop("cache_control", None)
    return [*answer[:-1], mark_for_cache(answer[-1], "5m")]


def _ending(reply: Reply) -> str:
    quote = " ".join(reply.text.split())
    return f'it said "{quote[:MAX_QUOTE_CHARS]}"' if quote else f"its last reply ended with {reply.stop_reason}"
