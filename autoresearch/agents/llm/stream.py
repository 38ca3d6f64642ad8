"""Receive one streamed reply as a whole, or raise CallFailed for every error, also those that an SDK ignores."""

import json
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from autoresearch.agents.llm import faults
from autoresearch.agents.llm.faults import Fault
from autoresearch.agents.llm.messages import Reply
from autoresearch.agents.llm.prices import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx2

MAX_WHOLE_BYTES = 4 << 20  # of an answer that is no stream
HEAD_BYTES = 4000  # of a stream, searched for an error if there was no message
WHOLE_ANSWERS = ("text/html", "application/json")  # kinds of content
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.I)

# what an SDK raises while it assembles a message from a reply that breaks the rules of the API
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


@dataclass
class StreamProgress:
    """State of a call. `wrong_server` is the fault of a server that speaks another API."""

    wrong_server: Fault
    usage: Usage | None = None
    begun: bool = False  # the server has answered
    complete: bool = False
    late: bool = False
    head: bytes = b""  # of the answer
    started: float = field(default_factory=time.monotonic)


def receive(
    read: Callable[[StreamProgress], Reply],
    progress: StreamProgress,
    seconds: float,
    errors: tuple[type[Exception], ...],
    explain: Callable[[Any], CallFailed],
) -> Reply:
    """Return what `read` returns. Raises CallFailed for its faults: `explain` converts the `errors` of an SDK."""
    try:
        return read(progress)
    except CallFailed as failed:
        failure = failed
    except errors as error:
        failure = explain(error)
    except _GARBLED_ERRORS as error:
        failure = _from_nonsense(error, progress)
    if progress.late:
        failure = CallFailed(faults.TIMEOUT, f"no whole reply within {seconds:.0f} s")
    failure.usage = progress.usage
    failure.free = failure.free and progress.usage is None
    raise failure


def kind_of(response: "httpx2.Response") -> str:
    """Return the kind of content of an answer, in lower case."""
    return str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()


def read_whole(response: "httpx2.Response", progress: StreamProgress) -> Any:
    """Return the JSON value of an answer that is no stream. Raises CallFailed for a web page, ValueError."""
    data = bytearray()
    for chunk in response.iter_bytes():
        data += chunk
        if len(data) > MAX_WHOLE_BYTES:
            break
    text = data.decode("utf-8", "replace")
    if kind_of(response) == "text/html":
        title = _TITLE.search(text)
        what = f"a web page{f' ({title[1].strip()})' if title else ''}"
        raise CallFailed(progress.wrong_server, f"{response.url.path} is {what}", free=True)
    return json.loads(text)


def refuse_other_json(value: object, response: "httpx2.Response", progress: StreamProgress) -> CallFailed:
    """Return the failure of an answer without a reply; raises it if the answer is an error."""
    raise_error_of(value, progress)
    return CallFailed(progress.wrong_server, f"{response.url.path} answers with other JSON", free=True)


def keep_head(response: "httpx2.Response", progress: StreamProgress) -> None:
    """Keep the first bytes that an SDK reads: it skips what is no named event of a stream."""
    chunks = response.iter_bytes

    def iter_bytes(chunk_size: int | None = None) -> Iterator[bytes]:
        for chunk in chunks(chunk_size):
            progress.head += chunk[: max(0, HEAD_BYTES - len(progress.head))]
            yield chunk

    response.iter_bytes = iter_bytes  # type: ignore[method-assign]


def end_early(progress: StreamProgress) -> CallFailed:
    """Return the failure of a stream that ended too early; raises it if it began with an error not marked as one."""
    for line in progress.head.decode("utf-8", "replace").split("\n"):
        with suppress(ValueError, RecursionError):
            raise_error_of(json.loads(line.removeprefix("data:")), progress)
    return CallFailed(faults.DROPPED, "the stream ended in the middle of the message")


def raise_error_of(value: object, progress: StreamProgress) -> None:
    """Raise CallFailed for an object with an `error`, whatever its form."""
    if not isinstance(value, dict) or not value.get("error"):
        return
    error = value["error"]
    facts = error if isinstance(error, dict) else {"message": error}
    code = facts.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else None
    kind, message = str(facts.get("type") or ""), str(facts.get("message") or error)
    if not kind and status is None:
        raise CallFailed(progress.wrong_server, message, free=True)
    raise CallFailed(faults.classify(status, kind, message), message, free=True)


@contextmanager
def cut_after(response: "httpx2.Response", seconds: float, progress: StreamProgress) -> Iterator[None]:
    """Cut the connection so many seconds after the start: no read timeout stops a server that only sends pings."""

    def cut() -> None:
        progress.late = True
        connection = response.extensions["network_stream"].get_extra_info("socket")
        with suppress(OSError):
            # the plain socket's method: that of a TLS socket would change the state that the reading thread uses
            socket.socket.shutdown(connection, socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, progress.started + seconds - time.monotonic()), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def from_status(status: int, kind: str | None, message: str, headers: "Mapping[str, str]") -> CallFailed:
    """Convert an HTTP error, or an `error` event in a stream that had begun with status 200."""
    code = status if status >= 400 else None
    failure = CallFailed(faults.classify(code, kind, message), message, free=code is not None)
    failure.status, failure.retry_after = code, faults.retry_after(headers, time.time())
    return failure


def from_connection(error: Exception, progress: StreamProgress, timeouts: tuple[type[Exception], ...]) -> CallFailed:
    """Convert an error of the connection; `timeouts` are the SDK's own."""
    import httpx2

    cause = error.__cause__ or error
    name = type(cause).__name__
    if isinstance(cause, httpx2.TooManyRedirects):
        return CallFailed(progress.wrong_server, "too many redirects", free=True)
    if isinstance(cause, httpx2.UnsupportedProtocol | httpx2.LocalProtocolError | httpx2.InvalidURL | ValueError):
        return CallFailed(faults.NOT_SENT, name, free=True)  # its text may quote the key
    late = isinstance(error, (*timeouts, httpx2.TimeoutException))
    unsent = httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout | httpx2.ProxyError
    return CallFailed(faults.TIMEOUT if late else faults.DROPPED, str(cause) or name, isinstance(cause, unsent))


def _from_nonsense(error: Exception, progress: StreamProgress) -> CallFailed:
    """Convert what an SDK raises for a request that it cannot make, or a reply that it cannot read."""
    if not progress.begun:
        return CallFailed(faults.NOT_SENT, type(error).__name__, free=True)
    return CallFailed(faults.GARBLED, f"{type(error).__name__}: {error}")
