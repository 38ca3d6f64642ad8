"""Chat Completions: requests and replies of OpenAI's server, and of those that speak like it."""

import re
from collections.abc import Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

from autoresearch.agents.llm import faults, stream
from autoresearch.agents.llm.connection import timeout
from autoresearch.agents.llm.faults import Fault
from autoresearch.agents.llm.messages import Reply, Request, Turn
from autoresearch.agents.llm.stream import CallFailed, StreamProgress
from autoresearch.agents.openai.chat_endpoint import create_client, is_openai
from autoresearch.agents.openai.chunks import THOUGHTS, Assembly, read_usage
from autoresearch.config import Config
from autoresearch.files import JsonObject

if TYPE_CHECKING:
    import openai

OPTIONAL = {"reasoning_effort", "stream_options"}
LIMITS = ("max_completion_tokens", "max_tokens")  # names of the limit of a reply: the new one, and the old one
_WRONG_SERVER = Fault(
    "no Chat Completions there", "stop", advice="correct `base_url`: a server that speaks this API, mostly with /v1"
)
_NO_TOOLS = Fault(
    "no tool calls", "stop", advice="set `edit_format: text`, or start the server with a parser of tool calls"
)
_REFUSES_TOOLS = re.compile(r"not support (?:tool|function)|support tool use|tool choice requires|--jinja", re.I)
_HIT_LIMIT = re.compile("output limit was reached", re.I)  # a model that thought until its limit, and wrote nothing


class ChatApi:
    """One server. Raises Unusable if there is no key or package for it, UsageError for a wrong address."""

    def __init__(self, config: Config, read_timeout_s: float, advice: Mapping[str, str]) -> None:
        self.advice = {
            "authentication": "set OPENAI_API_KEY, or AUTORESEARCH_AUTH_TOKEN for a server of your own",
            **advice,
        }
        self.effort = config.effort if "effort" in config.model_fields_set else None
        self.client = create_client(config, read_timeout_s)
        self._limits = LIMITS if is_openai(config) else LIMITS[::-1]  # older servers know the old name only
        self._refused: dict[str, set[str]] = {}  # by model

    @property
    def host(self) -> str:
        return str(self.client.base_url.netloc.decode())

    @property
    def secrets(self) -> list[str]:
        return [str(self.client.api_key)]

    def leave_out(self, model: str, message: str) -> Set[str]:
        """Leave out the parameters that the message names, else all that are optional.

        The limit of a reply only gets its other name, what is not streamed comes as a whole, and thoughts, which are
        left out at first, are sent back to a server that misses them.
        """
        refused = self._refused.setdefault(model, set())
        used = {*OPTIONAL, "stream", THOUGHTS[0], self._limits[0]} - refused
        if self.effort is None:
            used -= {"reasoning_effort"}
        names = {name for name in used if re.search(rf"\b{name}\b", message)} or used & OPTIONAL
        refused |= names
        return names

    def restore(self, model: str, names: Set[str]) -> None:
        self._refused[model] = self._refused.get(model, set()) - names

    def count_tokens(self, body: JsonObject, seconds: float) -> int | None:
        """Return None: this API has no count."""
        return None

    def body(self, request: Request) -> JsonObject:
        refused = self._refused.get(request.model, set())
        limit = next(name for name in self._limits if name not in refused)
        streamed = "stream" not in refused
        options = {"include_usage": True} if streamed else None
        optional = {"reasoning_effort": self.effort, "stream_options": options}
        return {
            "model": request.model,
            "messages": [
                {"role": "system", "content": request.system},
                *_messages(request.turns, THOUGHTS[0] in refused),
            ],
            "stream": streamed,
            limit: request.max_tokens,
            **({"tools": [_definition(tool) for tool in request.tools]} if request.tools else {}),
            **{name: value for name, value in optional.items() if value is not None and name not in refused},
        }

    def receive(self, body: JsonObject, seconds: float) -> Reply:
        """Send a request and read its stream to the end. Raises CallFailed."""
        import httpx2
        import openai

        progress = StreamProgress(_WRONG_SERVER)
        return stream.receive(
            lambda progress: _receive(self.client, body, seconds, progress),
            progress,
            seconds,
            (openai.OpenAIError, httpx2.HTTPError),
            lambda error: _explain(error, progress, has_tools="tools" in body),
        )


def _definition(tool: JsonObject) -> JsonObject:
    function = {"name": tool["name"], "description": tool["description"], "parameters": tool["input_schema"]}
    return {"type": "function", "function": function}


def _messages(turns: Sequence[Turn], thoughts: bool) -> list[JsonObject]:
    """Return the turns as messages: the roles alternate, as the templates of some models demand."""
    messages: list[JsonObject] = []
    for turn in turns:
        if isinstance(turn, Reply):
            messages += [each if thoughts else _without(each, THOUGHTS[0]) for each in turn.sent_back]
            continue
        messages += [_result(each.call_id, each.text, each.is_error) for each in turn.results]
        text = "\n\n".join(turn.texts)
        if text and messages and messages[-1]["role"] == "user":
            messages[-1]["content"] += f"\n\n{text}"
        elif text:
            messages.append({"role": "user", "content": text})
    return messages


def _without(message: JsonObject, name: str) -> JsonObject:
    return {key: value for key, value in message.items() if key != name}


def _result(call_id: str, text: str, is_error: bool) -> JsonObject:
    return {"role": "tool", "tool_call_id": call_id, "content": f"Error: {text}" if is_error else text}


def _receive(client: "openai.OpenAI", body: JsonObject, seconds: float, progress: StreamProgress) -> Reply:
    import openai

    try:
        # raw objects, not the types of the SDK: servers differ in what they add and leave out
        events: openai.Stream[object] = client.post(
            "/chat/completions",
            cast_to=object,
            body=body,
            options={"timeout": timeout(seconds)},
            stream=True,
            stream_cls=openai.Stream[object],
        )
    except openai.BadRequestError as error:
        if _HIT_LIMIT.search(_message(error)):
            return Reply("", (), "max_tokens", None)
        raise
    with events, stream.cut_after(events.response, seconds, progress):
        progress.begun = True
        assembly = Assembly()
        if stream.kind_of(events.response) in stream.WHOLE_ANSWERS:
            value = stream.read_whole(events.response, progress)
            if not isinstance(value, dict) or "choices" not in value:
                raise stream.refuse_other_json(value, events.response, progress)
            assembly.add(value)
        else:
            stream.keep_head(events.response, progress)
            for event in events:
                assembly.add(event)
                progress.usage = assembly.usage
        if assembly.finish is None:
            raise stream.end_early(progress)
        progress.usage = assembly.usage
        return assembly.reply()


def _explain(error: Any, progress: StreamProgress, has_tools: bool) -> CallFailed:
    """Convert an error of the SDK or of its connection."""
    import openai

    if isinstance(error, openai.APIStatusError):
        failure = stream.from_status(error.status_code, _kind(error), _message(error), error.response.headers)
        if has_tools and _REFUSES_TOOLS.search(failure.message):
            failure.fault = _NO_TOOLS
        elif error.status_code == 404 and "model" not in failure.message.lower():
            failure.fault = _WRONG_SERVER
        return failure
    if isinstance(error, openai.APIConnectionError) or not isinstance(error, openai.APIError):
        return stream.from_connection(error, progress, (openai.APITimeoutError,))
    # an error in the middle of a stream
    body = error.body if isinstance(error.body, dict) else {}
    progress.usage = read_usage(body.get("usage")) or progress.usage
    code = body.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    return CallFailed(faults.classify(status, _kind(error), _message(error)), _message(error))


def _kind(error: "openai.APIError") -> str | None:
    """Return the server's own name of the error: its code says more than its type, if the table has it."""
    name = error.code if faults.is_known(error.code) else error.type
    return name if isinstance(name, str) else None


def _message(error: "openai.APIError") -> str:
    """Return the server's words, wherever it puts them."""
    body = error.body[0] if isinstance(error.body, list) and error.body else error.body
    if isinstance(body, dict):
        body = body.get("message") or body.get("detail") or body.get("error") or body
    return str(body or error.message)
