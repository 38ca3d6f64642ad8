"""Receive one streamed message as a whole, or raise CallFailed for every error, also those that the SDK ignores."""

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoresearch.agents.claude import faults
from autoresearch.agents.claude.faults import Fault
from autoresearch.agents.claude.prices import Usage
from autoresearch.files import JsonObject

if TYPE_CHECKING:
    import anthropic
    import httpx2
    from anthropic.types import Message

MAX_WHOLE_BYTES = 4 << 20  # of an answer that is no stream
HEAD_BYTES = 4000  # of a stream, searched for an error if there was no message
_WHOLE_ANSWERS = ("text/html", "application/json")
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.I)

# what the SDK raises while it assembles a message from a reply that breaks the rules of the API
_GARBLED_ERRORS = (ValueError, RuntimeError, TypeError, LookupError, AttributeError, AssertionError)


class CallFailed(Exception):
    """A call without a whole reply.

    `free` if nothing can have been billed; `usage` as far as the server has reported it (None: not at all).
    """

    usage: Usage | None = None

    def __init__(self, fault: Fault, message: str, free: bool = False) -> None:
        super().__init__(message)
        self.fault, self.message, self.free = fault, message, free
        self.status: int | None = None
        self.retry_after: float | None = None


@dataclass(frozen=True)
class Reply:
    """A whole message. `content` are blocks that may be sent back: text, tool_use, signed thinking."""

    content: list[JsonObject]
    stop_reason: str | None
    usage: Usage
    thoughts: str = ""
    refusal: str = ""
    request_bytes: int = 0

    @property
    def text(self) -> str:
        return "\n".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def calls(self) -> list[JsonObject]:
        return [block for block in self.content if block["type"] == "tool_use"]


class _Progress:
    """State of a stream."""

    usage: Usage | None = None
    begun = False  # the server has answered
    complete = False
    late = False
    head = b""  # of the answer


def receive(client: "anthropic.Anthropic", body: JsonObject, seconds: float) -> Reply:
    """Send a request and read its stream to the end. Raises CallFailed."""
    import anthropic
    import httpx2

    progress = _Progress()
    try:
        return _receive(client, body, seconds, progress)
    except anthropic.APIStatusError as error:
        failure = _from_status(error)
    except (anthropic.APIConnectionError, httpx2.HTTPError) as error:
        failure = _from_connection(error)
    except anthropic.CredentialsError as error:
        failure = CallFailed(faults.AUTHENTICATION, str(error), free=True)
    except _GARBLED_ERRORS as error:
        failure = _from_nonsense(error, progress)
    if progress.late:
        failure = CallFailed(faults.TIMEOUT, f"no whole reply within {seconds:.0f} s")
    failure.usage = progress.usage
    failure.free = failure.free and progress.usage is None
    raise failure


def _receive(client: "anthropic.Anthropic", body: JsonObject, seconds: float, progress: _Progress) -> Reply:
    with client.messages.stream(**body) as stream, _cut_after(stream.response, seconds, progress):
        progress.begun = True
        kind = stream.response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind in _WHOLE_ANSWERS:
            return _read_whole(stream.response, kind, progress)
        _keep_head(stream.response, progress)
        for event in stream:
            if event.type == "message_start":
                progress.usage = _usage(event.message)
            progress.complete = progress.complete or event.type == "message_stop"
        if not progress.complete:
            _raise_unnamed_error(progress.head)
            raise CallFailed(faults.DROPPED, "the stream ended in the middle of the message")
        return _reply(stream.get_final_message())


def _read_whole(response: "httpx2.Response", kind: str, progress: _Progress) -> Reply:
    """Return the message in an answer that is no stream. Raises CallFailed."""
    from anthropic.types import Message

    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > MAX_WHOLE_BYTES:
            break
    text = data.decode("utf-8", "replace")
    if kind == "text/html":
        title = _TITLE.search(text)
        what = f"a web page{f' ({title[1].strip()})' if title else ''}"
        raise CallFailed(faults.WRONG_SERVER, f"{response.url.path} is {what}", free=True)
    value = json.loads(text)
    if isinstance(value, dict) and value.get("type") == "message":
        message = Message.model_validate(value)
        progress.usage = _usage(message)
        return _reply(message)
    _raise_error_of(value)
    raise CallFailed(faults.WRONG_SERVER, f"{response.url.path} answers with other JSON", free=True)


def _keep_head(response: "httpx2.Response", progress: _Progress) -> None:
    """Keep the first bytes that the SDK reads: it skips what is no named event of a stream."""
    chunks = response.iter_bytes

    def iter_bytes(chunk_size: int | None = None) -> Iterator[bytes]:
        for chunk in chunks(chunk_size):
            progress.head += chunk[: max(0, HEAD_BYTES - len(progress.head))]
            yield chunk

    response.iter_bytes = iter_bytes  # type: ignore[method-assign]


def _raise_unnamed_error(head: bytes) -> None:
    """Raise CallFailed if a stream began with an error that is not marked as one."""
    for line in head.decode("utf-8", "replace").split("\n"):
        with suppress(ValueError, RecursionError):
            _raise_error_of(json.loads(line.removeprefix("data:")))


def _raise_error_of(value: object) -> None:
    """Raise CallFailed for an object with an `error`, whatever its form."""
    if not isinstance(value, dict) or not value.get("error"):
        return
    error = value["error"]
    facts = error if isinstance(error, dict) else {"message": error}
    code = facts.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    kind, message = str(facts.get("type") or ""), str(facts.get("message") or error)
    if not kind and status is None:
        raise CallFailed(faults.WRONG_SERVER, message, free=True)
    raise CallFailed(faults.classify(status, kind, message), message, free=True)


@contextmanager
def _cut_after(response: "httpx2.Response", seconds: float, progress: _Progress) -> Iterator[None]:
    """Cut the connection after so many seconds: no read timeout stops a server that only sends pings."""

    def cut() -> None:
        progress.late = True
        connection = response.extensions["network_stream"].get_extra_info("socket")
        with suppress(OSError):
            # the plain socket's method: that of a TLS socket would change the state that the reading thread uses
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _from_status(error: "anthropic.APIStatusError") -> CallFailed:
    """Convert an HTTP error, or an `error` event in a stream that had begun with status 200."""
    status = error.status_code if error.status_code >= 400 else None
    message = str(error.api_message or error.message)
    failure = CallFailed(faults.classify(status, error.type, message), message, free=status is not None)
    failure.status, failure.retry_after = status, faults.retry_after(error.response.headers, time.time())
    return failure


def _from_connection(error: Exception) -> CallFailed:
    import anthropic
    import httpx2

    cause = error.__cause__ or error
    name = type(cause).__name__
    if isinstance(cause, httpx2.TooManyRedirects):
        return CallFailed(faults.WRONG_SERVER, "too many redirects", free=True)
    if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | httpx2.InvalidURL | ValueError):
        return CallFailed(faults.NOT_SENT, name, free=True)  # its text may quote the key
    late = isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException)
    unsent = httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout | httpx2.ProxyError
    return CallFailed(faults.TIMEOUT if late else faults.DROPPED, str(cause) or name, isinstance(cause, unsent))


def _from_nonsense(error: Exception, progress: _Progress) -> CallFailed:
    """Convert what the SDK raises for a request that it cannot make, or a reply that it cannot read."""
    if not progress.begun:
        return CallFailed(faults.NOT_SENT, type(error).__name__, free=True)
    return CallFailed(faults.GARBLED, f"{type(error).__name__}: {error}")


def _reply(message: "Message") -> Reply:
    content: list[JsonObject] = []
    thoughts = []
    for block in message.content:
        if block.type == "text" and block.text:
            content.append({"type": "text", "text": block.text})
        elif block.type == "tool_use":
            content.append({"type": "tool_use", "id": block.id, "name": block.name, "input": block.input})
        elif block.type == "thinking":
            thoughts.append(block.thinking)
            signature = getattr(block, "signature", "")  # not every server signs
            if signature:  # an incomplete thought may not be sent back
                content.append({"type": "thinking", "thinking": block.thinking, "signature": signature})
        elif block.type == "redacted_thinking":
            content.append({"type": "redacted_thinking", "data": block.data})
    details = message.stop_details
    refusal = "" if details is None else f"{details.category or 'no category'}: {details.explanation or ''}".strip(": ")
    return Reply(content, message.stop_reason, _usage(message), "\n".join(thoughts).strip(), refusal)


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
