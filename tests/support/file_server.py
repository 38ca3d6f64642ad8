"""A file server on loopback that imitates Hugging Face, with faults on request."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar


class Files(BaseHTTPRequestHandler):
    """Handler with the `faults` of the next downloads, and the requests so far (`asked`)."""

    protocol_version = "HTTP/1.1"
    files: ClassVar[dict[str, bytes]]
    faults: ClassVar[list[str]]
    asked: ClassVar[list[tuple[str, str, str | None]]]
    over: ClassVar[threading.Event]

    def do_GET(self) -> None:
        if not self.path.startswith("/stored/"):
            self._redirect()
            return
        name = self.path.removeprefix("/stored/")
        fault = self.faults.pop(0) if self.faults else ""
        self.asked.append((self.command, name.rpartition("/")[2], self.headers.get("Range")))
        if fault.isdigit():
            self._fail(int(fault))
        else:
            self._send(self.files[name.rpartition("/")[2]], fault)

    do_HEAD = do_GET

    def _redirect(self) -> None:
        """Redirect as Hugging Face does: size and digest are in these headers."""
        data = self.files.get(self.path.rpartition("/")[2])
        if data is None:
            self._fail(404)
            return
        self.send_response(302)
        if "bare" not in self.faults:
            self.send_header("X-Linked-Size", str(len(data)))
            self.send_header("X-Linked-ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("Location", f"/stored{self.path}")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _fail(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.send_header("Retry-After", "7")
        self.end_headers()

    def _send(self, data: bytes, fault: str) -> None:
        asked = self.headers.get("Range") if fault != "no ranges" else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start >= len(data):
            self._fail(416)
            return
        body = data[start:]
        self.send_response(206 if asked else 200)
        if asked:
            shift = 1 if fault == "elsewhere" else 0
            self.send_header("Content-Range", f"bytes {start + shift}-{len(data) - 1}/{len(data)}")
        if fault == "corrupt":
            body = bytes([body[0] ^ 1]) + body[1:]
        sent = body[: len(body) // 2] if fault in ("drop", "stall", "truncate") else body
        self.send_header("Content-Length", str(len(sent if fault == "truncate" else body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(sent)
        if fault == "stall":
            self.over.wait(20)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def serving(files: dict[str, bytes], faults: list[str]) -> Iterator[tuple[str, type[Files]]]:
    """Serve files; yield the address, and the handler with the requests."""
    handler = type("Handler", (Files,), {"files": files, "faults": faults, "asked": [], "over": threading.Event()})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", handler
        finally:
            handler.over.set()
            server.shutdown()
            thread.join()
