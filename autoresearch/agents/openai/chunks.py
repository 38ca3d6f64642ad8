"""Put a reply together from the chunks of a Chat Completions stream, whatever a server adds or leaves out."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from autoresearch.agents.llm.messages import Reply, ToolCall
from autoresearch.agents.llm.prices import Usage
from autoresearch.files import JsonObject

STOP_REASONS = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}  # in the words of llm/messages.py
THOUGHTS = ("reasoning_content", "reasoning")  # servers call them differently
ID_CHARS = 9  # of an id that we make up: some servers accept no other length


@dataclass
class PartialCall:
    """A tool call of which some pieces have come; `arguments` is JSON when it is complete."""

    id: str
    index: object = None  # as the server counts
    name: str = ""
    arguments: str = ""


@dataclass
class Assembly:
    """The reply so far. `finish` is the server's reason to end it, None as long as it goes on."""

    finish: str | None = None
    usage: Usage | None = None
    _texts: list[str] = field(default_factory=list)
    _thoughts: list[str] = field(default_factory=list)
    _refusals: list[str] = field(default_factory=list)
    _calls: list[PartialCall] = field(default_factory=list)

    def add(self, chunk: object) -> None:
        """Add one chunk of a stream, or a whole answer."""
        self.usage = read_usage(_dict(chunk).get("usage")) or self.usage
        for choice in _dicts(_dict(chunk).get("choices")):
            self.finish = _text(choice.get("finish_reason")) or self.finish
            self._add_message(_dict(choice.get("delta") or choice.get("message")))

    def reply(self) -> Reply:
        """Return the whole reply."""
        thoughts = "".join(self._thoughts).strip()
        text, refusal, calls = "".join(self._texts), "".join(self._refusals), self._calls
        stop = STOP_REASONS.get(self.finish or "", self.finish)
        return Reply(
            text=text,
            calls=[ToolCall(call.id, call.name, _read_arguments(call.arguments)) for call in calls],
            stop_reason="refusal" if refusal and not calls else stop,
            usage=self.usage,
            thoughts=thoughts,
            refusal=refusal or ("content filter" if stop == "refusal" else ""),
            sent_back=[_sent_back(text, calls, thoughts)] if text or calls else [],
        )

    def _add_message(self, message: JsonObject) -> None:
        self._texts.append(_text(message.get("content")))
        self._refusals.append(_text(message.get("refusal")))
        self._thoughts.append(next(filter(None, (_text(message.get(name)) for name in THOUGHTS)), ""))
        for piece in _dicts(message.get("tool_calls")):
            self._add_call(piece)

    def _add_call(self, piece: JsonObject) -> None:
        function, given = _dict(piece.get("function")), _text(piece.get("id"))
        name, arguments = _text(function.get("name")), function.get("arguments")
        call = self._find_call(piece.get("index"), given, name)
        if call is None:
            call = PartialCall(given or uuid.uuid4().hex[:ID_CHARS], piece.get("index"))
            self._calls.append(call)
        call.name = call.name or name
        call.arguments += json.dumps(arguments) if isinstance(arguments, dict) else _text(arguments)

    def _find_call(self, index: object, given: str, name: str) -> PartialCall | None:
        """Return the call that a piece continues, None if it begins one; some servers give no index, or always 0."""
        call = next((each for each in reversed(self._calls) if index is None or each.index == index), None)
        if call is None or (name and given and given != call.id):
            return None
        return None if name and not given and index is None and call.arguments else call


def read_usage(value: object) -> Usage | None:
    """Read the server's counts; None if it gives none. Thoughts that it counts apart are output too."""
    counts = _dict(value)
    prompt, output, total = (_count(counts.get(f"{name}_tokens")) for name in ("prompt", "completion", "total"))
    if not prompt and not output:
        return None
    details = _dict(counts.get("prompt_tokens_details"))
    read = min(_count(details.get("cached_tokens")) or _count(counts.get("prompt_cache_hit_tokens")), prompt)
    written = min(_count(details.get("cache_write_tokens")), prompt - read)
    return Usage(prompt - read - written, read, written, output=max(output, total - prompt))


def _sent_back(text: str, calls: list[PartialCall], thoughts: str) -> JsonObject:
    """Return the message as the next request repeats it. Arguments that are no JSON would break some servers."""
    message: JsonObject = {"role": "assistant", "content": text, THOUGHTS[0]: thoughts}
    if calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _valid(call.arguments)}}
            for call in calls
        ]
    return message


def _read_arguments(arguments: str) -> object:
    """Return the input of a tool call; the text itself if it is no JSON."""
    if not arguments.strip():
        return {}
    try:
        return json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments


def _valid(arguments: str) -> str:
    return arguments if isinstance(_read_arguments(arguments), dict) and arguments.strip() else "{}"


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _dicts(value: object) -> Iterator[dict[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
