"""Turns of a conversation with a model, in the terms that all APIs share; an Api converts them to its own."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from autoresearch.agents.llm.prices import Usage
from autoresearch.brief.tokens import count_tokens
from autoresearch.files import JsonObject


@dataclass(frozen=True)
class ToolCall:
    """A call of a tool as a model wrote it: `input` may be anything, `id` names it in the result."""

    id: str
    name: str
    input: object


@dataclass(frozen=True)
class ToolResult:
    """The answer to the call with this id."""

    call_id: str
    text: str
    is_error: bool


@dataclass(frozen=True)
class UserTurn:
    """A turn of ours: texts, those first that seldom change, or the results of tool calls."""

    texts: Sequence[str] = ()
    results: Sequence[ToolResult] = ()


@dataclass(frozen=True)
class Reply:
    """A whole turn of the model. `sent_back` is what the API wants to see of it in the next request.

    `stop_reason` is one of the Messages API: `end_turn`, `tool_use`, `max_tokens`, `refusal`, `pause_turn`,
    `model_context_window_exceeded`. `usage` is None if the server did not count, `request_bytes` the size of its
    request.
    """

    text: str
    calls: Sequence[ToolCall]
    stop_reason: str | None
    usage: Usage | None
    thoughts: str = ""
    refusal: str = ""
    sent_back: Sequence[JsonObject] = ()
    request_bytes: int = 0

    @property
    def output_tokens(self) -> int:
        """Return the tokens of the reply, estimated if the server did not count."""
        if self.usage is not None:
            return self.usage.output
        written = [self.text, self.thoughts, *(json.dumps(call.input) for call in self.calls)]
        return sum(map(count_tokens, written))


Turn = UserTurn | Reply


@dataclass(frozen=True)
class Request:
    """A request. `tools` have a name, a description and an `input_schema`; there are none in plain-text mode.

    `purpose` is for the ledger.
    """

    model: str
    system: str
    turns: Sequence[Turn]
    max_tokens: int
    tools: Sequence[JsonObject] = ()
    purpose: str = "propose"
    n: int | None = None
