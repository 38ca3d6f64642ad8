"""One streamed message, received whole or not at all: what the SDK raises, and what it passes over, becomes Broken."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from autoresearch.agents.claude import faults
from autoresearch.agents.claude.faults import Fault
from autoresearch.agents.claude.prices import Usage

if TYPE_CHECKING:
    import anthropic
    from anthropic.types import Message

# what a reply that is not what the API promises makes the SDK raise while it puts the message together
_GARBLED = (ValueError, RuntimeError, TypeError, LookupError, AttributeError, AssertionError)


class Broken(Exception):
    """A call without a whole reply.

    `free` where nothing can have been billed; `usage` as far as the server had said it (None: not at all).
    """

    def __init__(self, fault: Fault, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.fault, self.message, self.status = fault, message, status
        self.retry_after: float | None = None
        self.free = False
        self.usage: Usage | None = None


@dataclass(frozen=True)
class Reply:
    """A whole message. `content` are blocks that may be sent back: text, tool_use, signed thinking."""

    content: list[dict[str, Any]]
    stop_reason: str | None
    usage: Usage
    thoughts: str = ""
    refusal: str = ""

    @property
    def text(self) -> str:
        """All of its text."""
        return "\n".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def calls(self) -> list[dict[str, Any]]:
        """Its tool calls."""
        return [block for block in self.content if block["type"] == "tool_use"]


class _Progress:
    """How far a stream has come."""

    usage: Usage | None = None
    complete = False
    late = False


def receive(client: "anthropic.Anthropic", body: dict[str, Any], seconds: float) -> Reply:
    """Send a request and read its stream to the end. Raises Broken."""
    import anthropic
    import httpx2

    progress = _Progress()
    try:
        return _receive(client, body, seconds, progress)
    except anthropic.APIStatusError as error:
        broken = _status(error)
    except anthropic.APIConnectionError as error:
        broken = _connection(error, isinstance(error, anthropic.APITimeoutError))
    except anthropic.CredentialsError as error:
        broken = Broken(faults.AUTHENTICATION, str(error))
        broken.free = True
    except httpx2.HTTPError as error:
        broken = _connection(error, isinstance(error, httpx2.TimeoutException))
    except _GARBLED as error:
        broken = Broken(faults.GARBLED, f"{type(error).__name__}: {error}")
    if progress.late:
        broken = Broken(faults.TIMEOUT, f"no whole reply within {seconds:.0f} s")
    broken.usage = progress.usage
    broken.free = broken.free and progress.usage is None
    raise broken


def _receive(client: "anthropic.Anthropic", body: dict[str, Any], seconds: float, progress: _Progress) -> Reply:
    with client.messages.stream(**body) as stream, _watched(stream.response, seconds, progress):
        for event in stream:
            if event.type == "message_start":
                progress.usage = _usage(event.message)
            progress.complete = progress.complete or event.type == "message_stop"
        if not progress.complete:
            raise Broken(faults.DROPPED, "the stream ended in the middle of the message")
        return _reply(stream.get_final_message())


@contextmanager
def _watched(response: Any, seconds: float, progress: _Progress) -> Iterator[None]:
    """Cut the connection after so many seconds: a server that only sends pings never runs into a read timeout."""

    def cut() -> None:
        progress.late = True
        connection = response.extensions["network_stream"].get_extra_info("socket")
        with suppress(OSError):
            # the plain method: that of a TLS socket would pull the state away under the reading thread
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _status(error: "anthropic.APIStatusError") -> Broken:
    """An HTTP error, or an `error` event in a stream that had begun with status 200."""
    status = error.status_code if error.status_code >= 400 else None
    message = str(error.api_message or error.message)
    broken = Broken(faults.classify(status, error.type, message), message, status)
    broken.retry_after = faults.retry_after(error.response.headers, time.time())
    broken.free = status is not None
    return broken


def _connection(error: Exception, timeout: bool) -> Broken:
    import httpx2

    cause = error.__cause__ or error
    broken = Broken(faults.TIMEOUT if timeout else faults.DROPPED, str(cause) or type(cause).__name__)
    broken.free = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout)
    return broken


def _reply(message: "Message") -> Reply:
    content: list[dict[str, Any]] = []
    thoughts = []
    for block in message.content:
        if block.type == "text" and block.text:
            content.append({"type": "text", "text": block.text})
        elif block.type == "tool_use":
            content.append({"type": "tool_use", "id": block.id, "name": block.name, "input": block.input})
        elif block.type == "thinking":
            thoughts.append(block.thinking)
            signature = getattr(block, "signature", "")  # not every server signs
            if signature:  # a thought that was cut off may not be sent back
                content.append({"type": "thinking", "thinking": block.thinking, "signature": signature})
        elif block.type == "redacted_thinking":
            content.append({"type": "redacted_thinking", "data": block.data})
    details = message.stop_details
    refusal = "" if details is None else f"{details.category or 'no category'}: {details.explanation or ''}".strip(": ")
    return Reply(content, message.stop_reason, _usage(message), "\n".join(thoughts).strip(), refusal)


def _usage(message: "Message") -> Usage:
    """What the server has counted; some servers leave parts out."""
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
