"""A Chat Completions server on loopback, with the same plans as the Messages API server (support/messages_server.py).

    with ChatServer([Reply([text("hello")]), Status(429, "insufficient_quota")]) as server:
        Config(base_url=server.url, ...)

Usage is counted with four bytes a token and a prompt cache of prefixes; `dialect` is what other servers do differently.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from support.messages_server import Block, MessagesServer, Reply, Request, Status, cut_text

STOPS = {"end_turn": "stop", "tool_use": "tool_calls", "max_tokens": "length", "refusal": "content_filter"}
CACHED_CHARS = 1000  # a prefix is cached in steps of so many


@dataclass(frozen=True)
class ChatRequest(Request):
    def results(self) -> list[str]:
        """Return the newest answers of the tools."""
        messages = self.body["messages"]
        last = max(k for k, message in enumerate(messages) if message["role"] != "tool")
        return [message["content"] for message in messages[last + 1 :]]

    def said(self) -> list[str]:
        """Return the texts of the model in this conversation."""
        return [message["content"] for message in self.body["messages"] if message["role"] == "assistant"]


class ChatServer(MessagesServer):
    """Serve until the `with` block ends.

    Words of `dialect`: `same index` (all tool calls have index 0), `no index`, `no ids`, `reasoning` (another name of
    the thoughts), `no usage`, `no done` (no end mark).
    """

    request = ChatRequest

    def __init__(self, plan: Any, dialect: str = "") -> None:
        super().__init__(plan)
        self.dialect = dialect
        self._prefixes: set[str] = set()

    def error(self, step: Status) -> Any:
        return {"error": {"type": step.kind, "message": step.message, "param": None, "code": None}}

    def frames(self, reply: Reply, request: Request) -> Iterator[str]:
        base = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": request.body["model"]}
        yield _frame({**base, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]})
        for delta in self._deltas(reply):
            yield _frame({**base, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]})
        calls = any(block["type"] == "tool_use" for block in reply.blocks)
        stop = reply.stop if reply.stop != "auto" else "tool_use" if calls else "end_turn"
        yield _frame({**base, "choices": [{"index": 0, "delta": {}, "finish_reason": STOPS.get(stop, stop)}]})
        usage = reply.usage or self.count(request.body, sum(len(json.dumps(block)) for block in reply.blocks) // 4)
        if "no usage" not in self.dialect and request.body.get("stream_options"):
            yield _frame({**base, "choices": [], "usage": usage})
        if "no done" not in self.dialect:
            yield "data: [DONE]\n\n"

    def odd_frame(self, ends: str) -> str:
        if ends.startswith("error:"):
            return _frame({"error": {"type": ends.removeprefix("error:"), "message": "in the middle"}})
        return ": ping\n\n" if ends == "pings" else 'data: {"choices": [{"del\n\n'

    def count(self, body: dict[str, Any], output: int) -> dict[str, Any]:
        """Return the usage of a call: what was sent before, from the start of the prompt, is read from the cache."""
        prompt = json.dumps([body.get("tools"), body["messages"]])
        with self._lock:
            steps = range(CACHED_CHARS, len(prompt), CACHED_CHARS)
            read = max((size for size in steps if prompt[:size] in self._prefixes), default=0)
            self._prefixes.update(prompt[:size] for size in steps)
            usage = {
                "prompt_tokens": len(prompt) // 4,
                "completion_tokens": output,
                "total_tokens": len(prompt) // 4 + output,
                "prompt_tokens_details": {"cached_tokens": read // 4},
            }
            self.usages.append(usage)
            return usage

    def _deltas(self, reply: Reply) -> Iterator[dict[str, Any]]:
        thoughts = "reasoning" if "reasoning" in self.dialect else "reasoning_content"
        called = 0
        for block in reply.blocks:
            if block["type"] == "tool_use":
                yield from self._call(block, called, reply.raw_input)
                called += 1
            elif block["type"] == "refusal":
                yield {"refusal": block["text"]}
            else:
                name = thoughts if block["type"] == "thinking" else "content"
                yield from ({name: part} for part in cut_text(block["thinking" if name == thoughts else "text"]))

    def _call(self, block: Block, index: int, raw: str | None) -> Iterator[dict[str, Any]]:
        pieces = cut_text(json.dumps(block["input"]) if raw is None else raw)
        for k, arguments in enumerate(pieces):
            call: dict[str, Any] = {"index": index, "function": {"arguments": arguments}}
            if k == 0:
                call |= {"id": block["id"], "type": "function"}
                call["function"]["name"] = block["name"]
            if "same index" in self.dialect:
                call["index"] = 0
            if "no index" in self.dialect:
                del call["index"]
            if "no ids" in self.dialect:
                call.pop("id", None)
            yield {"tool_calls": [call]}


def refusal(words: str) -> Block:
    return {"type": "refusal", "text": words}


def _frame(value: Any) -> str:
    return f"data: {json.dumps(value)}\n\n"
