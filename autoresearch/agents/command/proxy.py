"""Proxy of a coding agent: the only way out of its cell.

It speaks HTTP (CONNECT, and requests for http:// addresses) and runs in this process; what arrives is not trusted.
Where the user has a proxy, everything goes there, except to addresses of this machine that the user names. Each
connection has two threads, and their number is limited.
"""

import base64
import binascii
import hmac
import secrets
import socket
import threading
import urllib.request
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from autoresearch.agents.base import Unusable
from autoresearch.agents.command.addresses import CONNECT_TIMEOUT_S, Address, Refused, connect, require_public

MAX_HEAD_BYTES = 1 << 16
MAX_CONNECTIONS = 64
HEAD_TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 16
VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
USER = b"cell:"
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"
_END = b"\r\n\r\n"
_HOP_HEADERS = (b"proxy-authorization", b"proxy-connection", b"connection", b"keep-alive")


@dataclass(frozen=True)
class ProxyRequest:
    """The head of a request, and the bytes after it. `path` is None for a tunnel."""

    method: bytes
    address: Address
    path: bytes | None
    headers: Sequence[bytes]
    rest: bytes

    @classmethod
    def read(cls, client: socket.socket) -> "ProxyRequest":
        """Receive the head of a request. Raises ValueError, OSError."""
        data = b""
        while _END not in data:
            if len(data) > MAX_HEAD_BYTES or not (part := client.recv(CHUNK_BYTES)):
                raise ValueError("not a request")
            data += part
        head, _, rest = data.partition(_END)
        first, *headers = head.split(b"\r\n")
        method, target, _ = first.split(b" ")
        if method == b"CONNECT":
            host, _, port = target.decode("ascii").rpartition(":")
            return cls(method, Address.read(host, port), None, headers, rest)
        url = urlsplit(target.decode("ascii"))
        if url.scheme != "http" or not url.hostname:
            raise ValueError("only CONNECT and http:// are possible here")
        path = f"{url.path or '/'}{'?' * bool(url.query)}{url.query}".encode()
        return cls(method, Address.read(url.hostname, url.port or 80), path, headers, rest)

    def has_credentials(self, expected: bytes) -> bool:
        given = b""
        for header in self.headers:
            name, _, value = header.partition(b":")
            if name.lower() == b"proxy-authorization" and value.strip().lower().startswith(b"basic "):
                with suppress(binascii.Error):
                    given = base64.b64decode(value.strip()[6:])
        return hmac.compare_digest(given, expected)

    def head(self, upstream: SplitResult | None) -> bytes:
        """Return the head for the server itself, or for another proxy; without what was for this one."""
        place = f"[{self.address.host}]" if ":" in self.address.host else self.address.host
        place = f"{place}:{self.address.port}"
        target = place.encode() if self.path is None else self.path if upstream is None else self._url(place)
        kept = [header for header in self.headers if header.partition(b":")[0].strip().lower() not in _HOP_HEADERS]
        kept += [] if self.path is None else [b"Connection: close"]
        kept += [_authorization(upstream)] if upstream is not None and upstream.username else []
        return b"\r\n".join([b"%s %s HTTP/1.1" % (self.method, target), *kept]) + _END

    def _url(self, place: str) -> bytes:
        return b"http://" + place.encode() + (self.path or b"/")


class Proxy:
    """Answer the agent of one cell until `close`; `named` are addresses that it may reach although they are private."""

    def __init__(self, named: Collection[Address]) -> None:
        self.named = frozenset(named)
        self.upstream = _upstreams()
        self._credentials = USER + secrets.token_urlsafe(16).encode()
        self._own = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._own.getsockname()[1]
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._sockets: set[socket.socket] = {self._own}
        self._lock = threading.Lock()
        self._is_closed = False

    @property
    def doors(self) -> list[int]:
        """Return the ports of loopback that the cell needs: the proxy's, and those of servers that the user names."""
        return [self.port, *sorted({each.port for each in self.named if each.is_here} - {self.port})]

    @property
    def environment(self) -> dict[str, str]:
        """Return the variables that lead programs here."""
        values = dict.fromkeys(VARIABLES, f"http://{self._credentials.decode()}@127.0.0.1:{self.port}")
        values["NO_PROXY"] = "localhost,127.0.0.1,::1"
        return {**values, **{name.lower(): value for name, value in values.items()}, "NODE_USE_ENV_PROXY": "1"}

    def serve(self, doors: Sequence[socket.socket]) -> None:
        """Begin to answer: at the doors of a cell with a network of its own, else on this machine's loopback."""
        for door in doors or [self._own]:
            threading.Thread(target=self._accept, args=(door, door.getsockname()[1]), daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        with self._lock:
            self._is_closed = True
            for each in self._sockets:
                _shut_down(each)
            self._own.close()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self, door: socket.socket, port: int) -> None:
        while True:
            try:
                client, _ = door.accept()
            except OSError:
                return
            if self._room.acquire(blocking=False):
                threading.Thread(target=self._answer, args=(client, port), daemon=True).start()
            else:
                client.close()

    def _answer(self, client: socket.socket, port: int) -> None:
        try:
            with client, suppress(OSError):
                self._keep(client)
                if port == self.port:
                    self._answer_request(client)
                else:
                    with _connect_here(port) as server:
                        self._join(client, server)
        finally:
            self._forget(client)
            self._room.release()

    def _answer_request(self, client: socket.socket) -> None:
        client.settimeout(HEAD_TIMEOUT_S)
        try:
            request = ProxyRequest.read(client)
        except ValueError as error:
            return _reply(client, "400 Bad Request", str(error))
        if not request.has_credentials(self._credentials):
            return _reply(client, "407 Proxy Authentication Required", "wrong password", "Proxy-Authenticate: Basic")
        upstream = self._upstream(request)
        try:
            server = self._connect(request.address, upstream)
        except Refused as error:
            return _reply(client, "403 Forbidden", f"autoresearch: {error}")
        except (OSError, ValueError) as error:  # ValueError: a name that is none
            return _reply(client, "502 Bad Gateway", f"autoresearch: {request.address.host}: {error}")
        with server:
            if request.path is None and upstream is None:
                client.sendall(ESTABLISHED)
            else:
                server.sendall(request.head(upstream))
            server.sendall(request.rest)
            self._join(client, server)

    def _upstream(self, request: ProxyRequest) -> SplitResult | None:
        """Return the user's own proxy for an address, if there is one."""
        host = request.address.host
        if request.address.is_here or urllib.request.proxy_bypass(host):
            return None
        return self.upstream.get("https" if request.path is None else "http")

    def _connect(self, address: Address, upstream: SplitResult | None) -> socket.socket:
        if upstream is None:
            return connect(address, self.named)
        if address not in self.named:
            with suppress(socket.gaierror):  # a name that only the user's proxy can resolve
                require_public(address)
        return socket.create_connection((upstream.hostname, upstream.port or 80), CONNECT_TIMEOUT_S)

    def _join(self, client: socket.socket, server: socket.socket) -> None:
        """Copy both ways until both have ended."""
        self._keep(server)
        try:
            for each in (client, server):
                each.settimeout(None)
            back = threading.Thread(target=_copy, args=(server, client), daemon=True)
            back.start()
            _copy(client, server)
            back.join()
        finally:
            self._forget(server)

    def _keep(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.add(sock)
            if self._is_closed:
                _shut_down(sock)

    def _forget(self, sock: socket.socket) -> None:
        with self._lock:
            self._sockets.discard(sock)


def _upstreams() -> dict[str, SplitResult]:
    """Return the user's proxies by the kind of URL that they are for. Raises Unusable."""
    proxies = urllib.request.getproxies_environment()
    found = {kind: proxies.get(kind) or proxies.get("all") for kind in ("http", "https")}
    return {kind: _read_upstream(url) for kind, url in found.items() if url}


def _read_upstream(url: str) -> SplitResult:
    """Read the address of the user's proxy. Raises Unusable."""
    scheme, mark, _ = url.partition("://")
    with suppress(ValueError):
        found = urlsplit(url if mark else f"http://{url}")
        if found.scheme == "http" and found.hostname and found.port != 0:
            return found
    kind = f"{scheme}://" if mark and scheme != "http" else "an address that cannot be read"
    raise Unusable(f"a command reaches the network through proxies of HTTP only, not through {kind}")


def _authorization(upstream: SplitResult) -> bytes:
    words = f"{unquote(upstream.username or '')}:{unquote(upstream.password or '')}"
    return b"Proxy-Authorization: Basic " + base64.b64encode(words.encode())


def _connect_here(port: int) -> socket.socket:
    try:
        return socket.create_connection(("127.0.0.1", port), CONNECT_TIMEOUT_S)
    except OSError:
        return socket.create_connection(("::1", port), CONNECT_TIMEOUT_S)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
    for sock, side in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with suppress(OSError):
            sock.shutdown(side)


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _reply(client: socket.socket, status: str, words: str, *headers: str) -> None:
    body = f"{words}\n".encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: text/plain", "Connection: close"]
    client.sendall("\r\n".join([*lines, *headers]).encode() + _END + body)
