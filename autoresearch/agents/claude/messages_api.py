"""The Messages API: requests and replies of Anthropic's server, and of those that speak like it."""

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Literal

from autoresearch.agents.claude.endpoint import create_client
from autoresearch.agents.llm import faults, stream
from autoresearch.agents.llm.connection import timeout
from autoresearch.agents.llm.faults import Fault
from autoresearch.agents.llm.messages import Reply, Request, ToolCall, Turn, UserTurn
from autoresearch.agents.llm.prices import Usage
from autoresearch.agents.llm.stream import CallFailed, StreamProgress
from autoresearch.agents.llm.tools import EDITOR
from autoresearch.config import Config
from autoresearch.files import JsonObject

if TYPE_CHECKING:
    import anthropic
    from anthropic.types import Message

_EDITOR_OF_CLAUDE: JsonObject = {
    "type": "text_editor_20250728",
    "name": EDITOR,
}  # Claude models are trained with this one
_WRONG_SERVER = Fault(
    "no Messages API there", "stop", advice="correct `base_url`: a server that speaks this API, without /v1"
)


class MessagesApi:
    """One server. Raises Unusable if there is no key for it, UsageError for a wrong address."""

    def __init__(self, config: Config, read_timeout_s: float) -> None:
        self.advice = {"authentication": "set ANTHROPIC_API_KEY, or AUTORESEARCH_AUTH_TOKEN for a server of your own"}
        self.effort = config.effort
        self.client = create_client(config, read_timeout_s)
        self._plain_models: set[str] = set()  # Claude models whose server refused what only they support

    @property
    def host(self) -> str:
        return self.client.base_url.netloc.decode()

    @property
    def secrets(self) -> list[str]:
        return [secret for secret in (self.client.api_key, self.client.auth_token) if secret]

    def is_native(self, model: str) -> bool:
        """Return whether the model gets thinking, effort, cache marks and the typed editor, as only Claude does."""
        return "claude" in model.lower() and model not in self._plain_models

    def leave_out(self, model: str, message: str) -> Set[str]:
        """Leave out everything that only Claude supports; nothing if that is left out already."""
        if not self.is_native(model):
            return set()
        self._plain_models.add(model)
        return {"native"}

    def restore(self, model: str, names: Set[str]) -> None:
        if names:
            self._plain_models.discard(model)

    def count_tokens(self, body: JsonObject, seconds: float) -> int | None:
        """Let the server count the tokens of the prompt of a Claude model; None if it cannot."""
        import anthropic

        if not self.is_native(body["model"]):
            return None
        prompt = {name: value for name, value in body.items() if name != "max_tokens"}
        try:
            return self.client.messages.count_tokens(**prompt, timeout=timeout(seconds)).input_tokens
        except anthropic.APIError:
            return None

    def body(self, request: Request) -> JsonObject:
        native = self.is_native(request.model)
        body: JsonObject = {
            "model": request.model,
            "max_tokens": request.max_tokens,
            "system": [{"type": "text", "text": request.system}],
            "messages": _messages(request.turns, marked=native),
        }
        if request.tools:
            body["tools"] = [_EDITOR_OF_CLAUDE if native and tool["name"] == EDITOR else tool for tool in request.tools]
        if native:
            # summarised, not omitted: what a model says between tool calls is also returned as thinking
            body["thinking"] = {"type": "adaptive", "display": "summarized"}
            body["output_config"] = {"effort": self.effort}
        return body

    def receive(self, body: JsonObject, seconds: float) -> Reply:
        """Send a request and read its stream to the end. Raises CallFailed."""
        import anthropic
        import httpx2

        progress = StreamProgress(_WRONG_SERVER)
        errors = (anthropic.AnthropicError, httpx2.HTTPError)
        return stream.receive(
            lambda progress: _receive(self.client, body, seconds, progress),
            progress,
            seconds,
            errors,
            lambda error: _explain(error, progress),
        )


def _messages(turns: Sequence[Turn], marked: bool) -> list[JsonObject]:
    """Return the turns as messages, with cache marks if wanted.

    A request may have four marks: on the parts of the brief (the first covers tools and system, too), and on the
    newest turn.
    """
    messages: list[JsonObject] = []
    for turn in turns:
        if isinstance(turn, UserTurn):
            messages.append({"role": "user", "content": _blocks(turn)})
        elif turn.sent_back:
            messages.append({"role": "assistant", "content": list(turn.sent_back)})
    if marked and len(messages[0]["content"]) > 1:
        *stable, changing = messages[0]["content"]
        messages[0]["content"] = [*(_mark(block, "1h") for block in stable), _mark(changing, "5m")]
        if newest := next((each for each in reversed(messages[1:]) if each["role"] == "user"), None):
            *earlier, last = newest["content"]
            newest["content"] = [*earlier, _mark(last, "5m")]
    return messages


def _blocks(question: UserTurn) -> list[JsonObject]:
    results = [
        {"type": "tool_result", "tool_use_id": each.call_id, "content": each.text, "is_error": each.is_error}
        for each in question.results
    ]
    return [*results, *({"type": "text", "text": text} for text in question.texts)]


def _mark(block: JsonObject, ttl: Literal["5m", "1h"]) -> JsonObject:
    """Return a block with the mark that the prompt is cached up to here."""
    return {**block, "cache_control": {"type": "ephemeral", "ttl": ttl}}


def _receive(client: "anthropic.Anthropic", body: JsonObject, seconds: float, progress: StreamProgress) -> Reply:
    request = client.messages.stream(**body, timeout=timeout(seconds))
    with request as events, stream.cut_after(events.response, seconds, progress):
        progress.begun = True
        if stream.kind_of(events.response) in stream.WHOLE_ANSWERS:
            return _read_whole(events, progress)
        stream.keep_head(events.response, progress)
        for event in events:
            if event.type == "message_start":
                progress.usage = _usage(event.message)
            progress.complete = progress.complete or event.type == "message_stop"
        if not progress.complete:
            raise stream.end_early(progress)
        return _reply(events.get_final_message())


def _read_whole(events: "anthropic.MessageStream[None]", progress: StreamProgress) -> Reply:
    """Return the message in an answer that is no stream. Raises CallFailed."""
    from anthropic.types import Message

    value = stream.read_whole(events.response, progress)
    if isinstance(value, dict) and value.get("type") == "message":
        message = Message.model_validate(value)
        progress.usage = _usage(message)
        return _reply(message)
    raise stream.refuse_other_json(value, events.response, progress)


def _explain(error: Exception, progress: StreamProgress) -> CallFailed:
    """Convert an error of the SDK or of its connection."""
    import anthropic

    if isinstance(error, anthropic.APIStatusError):
        message = str(error.api_message or error.message)
        return stream.from_status(error.status_code, error.type, message, error.response.headers)
    if isinstance(error, anthropic.CredentialsError):
        return CallFailed(faults.AUTHENTICATION, str(error), free=True)
    return stream.from_connection(error, progress, (anthropic.APITimeoutError,))


def _reply(message: "Message") -> Reply:
    sent_back: list[JsonObject] = []
    thoughts = []
    for block in message.content:
        if block.type == "text" and block.text:
            sent_back.append({"type": "text", "text": block.text})
        elif block.type == "tool_use":
            sent_back.append({"type": "tool_use", "id": block.id, "name": block.name, "input": block.input})
        elif block.type == "thinking":
            thoughts.append(block.thinking)
            signature = getattr(block, "signature", "")  # not every server signs
            if signature:  # an incomplete thought may not be sent back
                sent_back.append({"type": "thinking", "thinking": block.thinking, "signature": signature})
        elif block.type == "redacted_thinking":
            sent_back.append({"type": "redacted_thinking", "data": block.data})
    details = message.stop_details
    refusal = "" if details is None else f"{details.category or 'no category'}: {details.explanation or ''}".strip(": ")
    return Reply(
        text="\n".join(block["text"] for block in sent_back if block["type"] == "text"),
        calls=[ToolCall(each["id"], each["name"], each["input"]) for each in sent_back if each["type"] == "tool_use"],
        stop_reason=message.stop_reason,
        usage=_usage(message),
        thoughts="\n".join(thoughts).strip(),
        refusal=refusal,
        sent_back=sent_back,
    )


def _usage(message: "Message") -> Usage:
    """Read the server's counts; some servers omit parts."""
    usage = message.usage
    written = usage.cache_creation_input_tokens or 0
    short = (usage.cache_creation.ephemeral_5m_input_tokens or 0) if usage.cache_creation else 0
    return Usage(
        input=usage.input_tokens or 0,
        cache_read=usage.cache_read_input_tokens or 0,
        cache_write_5m=min(short, written),
        cache_write_1h=written - min(short, written),
        output=usage.output_tokens or 0,
    )
