"""One conversation with a model, from a brief to a finished desk: bounded turns, every way to stop handled."""

from dataclasses import dataclass
from typing import Any

from autoresearch.agents.base import BadProposal
from autoresearch.agents.claude.client import Request, Server
from autoresearch.agents.claude.prompts import cached, system
from autoresearch.agents.claude.stream import Reply
from autoresearch.agents.claude.tools import EditSession
from autoresearch.text import Trace

TURNS = 14  # replies for one proposal
ROUNDS = 3  # of these, replies that bring no tool call or are cut off
REPLIES = 3  # times `max_tokens`: all output of one conversation


@dataclass
class Conversation:
    """Asks `model` until the desk is finished. Raises BadProposal, and what Server.send raises."""

    server: Server
    desk: EditSession
    model: str
    edit: str
    purpose: str
    n: int
    trace: Trace

    def hold(self, parts: list[str]) -> None:
        """Talk. `parts` are the texts of the brief, stable ones first; the last one is new each time."""
        # a request may have four marks: the brief's pieces and a moving one; the first covers tools and system, too
        first = [cached(part, "1h") for part in parts[:-1]] + [cached(parts[-1], "5m")]
        self.trace.add("prompt", model=self.model, purpose=self.purpose, text="\n\n".join(parts))
        messages: list[dict[str, Any]] = [{"role": "user", "content": first}]
        written = idle = 0
        for _ in range(TURNS):
            reply = self._ask(messages)
            answer = self._answer(reply)
            if self.desk.finished:
                return
            written += reply.usage.output
            idle += not reply.calls or reply.stop_reason == "max_tokens"
            if idle >= ROUNDS or written >= REPLIES * self.server.config.max_tokens:
                break
            if reply.content:
                messages.append({"role": "assistant", "content": reply.content})
            if answer:
                messages.append({"role": "user", "content": _marked(answer, messages)})
        raise BadProposal(f"no proposal from {self.model}: {_last(reply)}")

    def _ask(self, messages: list[dict[str, Any]]) -> Reply:
        request = Request(
            model=self.model,
            system=system(self.desk.role, self.edit),
            messages=messages,
            max_tokens=self.server.config.max_tokens,
            tools=self.desk.definitions() if self.edit == "tools" else [],
            purpose=self.purpose,
            n=self.n,
        )
        reply = self.server.send(request, self.trace)
        if reply.thoughts:
            self.trace.add("thoughts", text=reply.thoughts)
        self.trace.add("reply", text=reply.text, stop_reason=reply.stop_reason)
        return reply

    def _answer(self, reply: Reply) -> list[dict[str, Any]]:
        """What the model hears next; empty to let it go on."""
        if reply.stop_reason == "refusal":
            raise BadProposal(f"{self.model} refused ({reply.refusal or 'no reason given'})")
        if reply.stop_reason == "model_context_window_exceeded":
            raise BadProposal(f"the conversation is too long for {self.model}")
        if reply.stop_reason == "pause_turn":
            return []
        cut = reply.stop_reason == "max_tokens"
        if reply.calls:
            last = reply.calls[-1]
            return [self._result(call, cut and call is last) for call in reply.calls]
        if cut:
            return [_text("Your reply was cut off at its longest. Think less, change less, and finish.")]
        return [_text(self._read(reply.text))]

    def _result(self, call: dict[str, Any], cut: bool) -> dict[str, Any]:
        if cut:
            said, wrong = "the call was cut off: your reply was too long. Change less at once.", True
        elif self.desk.finished:
            said, wrong = "the proposal is made already", True
        else:
            said, wrong = self.desk.use(call["name"], call["input"])
        self.trace.add("tool", name=call["name"], input=call["input"], result=said, error=wrong)
        return {"type": "tool_result", "tool_use_id": call["id"], "content": said, "is_error": wrong}

    def _read(self, text: str) -> str:
        """Take the proposal from plain text, which some models give even where there are tools."""
        try:
            self.desk.read(text)
        except ValueError as error:
            how = "Use the tools, and end with a tool call." if self.edit == "tools" else "Keep to the form asked for."
            return f"No proposal yet: {error}. {how} The search is not over: propose the best change you can think of."
        return ""


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _marked(answer: list[dict[str, Any]], messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The answer with a cache mark at its end; the mark moves on, for a request may have only four."""
    for message in messages[1:]:
        for block in message["content"]:
            block.pop("cache_control", None)
    return [*answer[:-1], {**answer[-1], "cache_control": {"type": "ephemeral", "ttl": "5m"}}]


def _last(reply: Reply) -> str:
    said = " ".join(reply.text.split())
    return f'it said "{said[:200]}"' if said else f"its last reply ended with {reply.stop_reason}"
