"""A Messages API server on loopback: real sockets, server-sent events, scripted replies and faults.

    with MessagesServer([Reply([text("hello")]), Status(529, "overloaded_error")]) as server:
        Config(base_url=server.url, ...)

The plan is a list of steps, the last of which repeats, or a function from a Request to a step. Usage is counted with
four bytes a token and a prompt cache of marked prefixes.
"""

import hashlib
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

Block = dict[str, Any]


def text(words: str) -> Block:
    return {"type": "text", "text": words}


def thinking(words: str, signature: str | None = "signed") -> Block:
    return {"type": "thinking", "thinking": words, "signature": signature}


def tool(name: str, **values: Any) -> Block:
    return {"type": "tool_use", "id": f"toolu_{time.monotonic_ns()}", "name": name, "input": values}


@dataclass(frozen=True)
class Request:
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def turn(self) -> int:
        """Return the number of the model's replies in this conversation."""
        return sum(message["role"] == "assistant" for message in self.body.get("messages", []))

    def said(self) -> list[str]:
        """Return the texts of the model in this conversation."""
        blocks = [block for message in self.body["messages"][1:] for block in message["content"]]
        return [block["text"] for block in blocks if block["type"] == "text"]

    def results(self) -> list[str]:
        """Return the newest answers of the tools."""
        content = self.body["messages"][-1]["content"]
        return [block["content"] for block in content if block["type"] == "tool_result"]


@dataclass(frozen=True)
class Reply:
    """A message. `ends` interrupts it after `after` events: drop, close, hang, pings, garbage, or error:TYPE."""

    blocks: list[Block]
    stop: str = "auto"
    ends: str = ""
    after: int = 3
    delay: float = 0.0  # s before each event
    usage: dict[str, Any] | None = None
    details: dict[str, Any] | None = None
    raw_input: str | None = None  # what is streamed as the JSON input of tool calls


@dataclass(frozen=True)
class Status:
    """An HTTP error."""

    code: int
    kind: str | None = None
    message: str = "no"
    headers: dict[str, str] = field(default_factory=dict)
    body: str | None = None


@dataclass(frozen=True)
class Drop:
    """A connection that breaks before there is an answer, after `hang` seconds of silence."""

    hang: float = 0.0


Step = Reply | Status | Drop


class MessagesServer:
    """Serve until the `with` block ends. `usages` are the token counts of `requests`."""

    request = Request

    def __init__(self, plan: Iterable[Step] | Callable[[Request], Step]) -> None:
        self.requests: list[Request] = []
        self.usages: list[dict[str, Any]] = []
        self.closing = threading.Event()
        self._plan = plan if callable(plan) else _in_order(list(plan))
        self._seen: set[str] = set()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> "MessagesServer":
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def step(self, request: Request) -> Step:
        with self._lock:
            self.requests.append(request)
            return self._plan(request)

    def error(self, step: "Status") -> Any:
        """Return the JSON value of an HTTP error."""
        return {"type": "error", "error": {"type": step.kind, "message": step.message}}

    def frames(self, reply: Reply, request: Request) -> Iterator[str]:
        """Yield the events of a stream."""
        output = sum(len(json.dumps(block)) for block in reply.blocks) // 4
        usage = reply.usage or self.count(request.body, output)
        for kind, data in _events(reply, usage, request.body["model"]):
            yield f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n"

    def odd_frame(self, ends: str) -> str:
        """Return what a stream that is interrupted holds last: garbage, pings, or error:TYPE."""
        if ends.startswith("error:"):
            error = {"type": "error", "error": {"type": ends.removeprefix("error:"), "message": "in the middle"}}
            return f"event: error\ndata: {json.dumps(error)}\n\n"
        if ends == "pings":
            return 'event: ping\ndata: {"type": "ping"}\n\n'
        return 'event: content_block_delta\ndata: {"type": "content_bl\n\n'

    def count(self, body: dict[str, Any], output: int) -> dict[str, Any]:
        """Return the usage of a call: the longest known marked prefix is read, the rest up to the last mark written."""
        with self._lock:
            read = marked = short = so_far = 0
            digest = hashlib.sha256()
            for block in _prompt_blocks(body):
                mark = block.get("cache_control")
                plain = json.dumps({k: v for k, v in block.items() if k != "cache_control"}, sort_keys=True)
                digest.update(plain.encode())
                so_far += len(plain) // 4
                if mark:
                    key = digest.hexdigest()
                    read = so_far if key in self._seen else read
                    short += so_far - max(marked, read) if mark.get("ttl", "5m") == "5m" and so_far > read else 0
                    marked = so_far
                    self._seen.add(key)
            written = max(marked - read, 0)
            usage = {
                "input_tokens": so_far - read - written,
                "cache_read_input_tokens": read,
                "cache_creation_input_tokens": written,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": short,
                    "ephemeral_1h_input_tokens": written - short,
                },
                "output_tokens": output,
            }
            self.usages.append(usage)
            return usage


def _in_order(steps: list[Step]) -> Callable[[Request], Step]:
    left = list(steps)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


def _prompt_blocks(body: dict[str, Any]) -> Iterator[Block]:
    yield from body.get("tools", [])
    yield from body.get("system", [])
    for message in body["messages"]:
        yield from message["content"]


def _handler(server: MessagesServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = server.request(self.path, headers, json.loads(self.rfile.read(size)))
            if self.path.endswith("/count_tokens"):
                self._json(200, {"input_tokens": sum(len(json.dumps(b)) // 4 for b in _prompt_blocks(request.body))})
                return
            try:
                _play(self, server, server.step(request), request)
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _json(self, code: int, value: Any, headers: dict[str, str] | None = None) -> None:
            self.raw(code, json.dumps(value), {"content-type": "application/json", **(headers or {})})

        def raw(self, code: int, body: str, headers: dict[str, str]) -> None:
            self.send_response(code)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def reset(self) -> None:
            """Break the connection as a network does."""
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True

        def chunk(self, data: str) -> None:
            self.wfile.write(f"{len(data.encode()):x}\r\n{data}\r\n".encode())
            self.wfile.flush()

    return Handler


def _play(handler: Any, server: MessagesServer, step: Step, request: Request) -> None:
    if isinstance(step, Drop):
        server.closing.wait(step.hang)
        handler.reset()
    elif isinstance(step, Status):
        handler.raw(step.code, json.dumps(server.error(step)) if step.body is None else step.body, step.headers)
    else:
        _stream(handler, server, step, request)


def _stream(handler: Any, server: MessagesServer, reply: Reply, request: Request) -> None:
    frames = server.frames(reply, request)
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.send_header("transfer-encoding", "chunked")
    handler.end_headers()
    for k, frame in enumerate(frames):
        if reply.ends and k == reply.after:
            _break_off(handler, server, reply.ends)
            return
        if reply.delay:
            server.closing.wait(reply.delay)
        handler.chunk(frame)
    handler.chunk("")


def _break_off(handler: Any, server: MessagesServer, ends: str) -> None:
    if ends == "garbage" or ends.startswith("error:"):
        handler.chunk(server.odd_frame(ends))
    elif ends == "hang":
        server.closing.wait(30)
    elif ends == "pings":
        while not server.closing.wait(0.02):
            handler.chunk(server.odd_frame(ends))
    if ends == "drop":
        handler.reset()
    else:
        handler.chunk("")


def _events(reply: Reply, usage: dict[str, Any], model: str) -> Iterator[tuple[str, dict[str, Any]]]:
    start = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    yield "message_start", {"message": {**start, "stop_reason": None, "usage": {**usage, "output_tokens": 1}}}
    for index, block in enumerate(reply.blocks):
        empty, deltas = _deltas(block, reply.raw_input)
        yield "content_block_start", {"index": index, "content_block": empty}
        for delta in deltas:
            yield "content_block_delta", {"index": index, "delta": delta}
        yield "content_block_stop", {"index": index}
    calls = any(block["type"] == "tool_use" for block in reply.blocks)
    stop = reply.stop if reply.stop != "auto" else "tool_use" if calls else "end_turn"
    delta = {"stop_reason": stop, "stop_sequence": None}
    delta |= {"stop_details": reply.details} if reply.details else {}
    yield "message_delta", {"delta": delta, "usage": {"output_tokens": usage["output_tokens"]}}
    yield "message_stop", {}


def _deltas(block: Block, raw_input: str | None) -> tuple[Block, list[dict[str, Any]]]:
    """Return the empty block that a stream starts with, and the pieces that fill it."""
    if block["type"] == "text":
        return {**block, "text": ""}, [{"type": "text_delta", "text": part} for part in cut_text(block["text"])]
    if block["type"] == "thinking":
        parts = [{"type": "thinking_delta", "thinking": part} for part in cut_text(block["thinking"])]
        signed = [{"type": "signature_delta", "signature": block["signature"]}] if block["signature"] else []
        empty = {"type": "thinking", "thinking": "", **({"signature": ""} if block["signature"] is not None else {})}
        return empty, parts + signed
    if block["type"] == "tool_use":
        pieces = cut_text(json.dumps(block["input"]) if raw_input is None else raw_input)
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": part} for part in pieces]
    return block, []


def cut_text(words: str, size: int = 400) -> list[str]:
    return [words[k : k + size] for k in range(0, len(words), size)]
