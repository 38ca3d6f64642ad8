"""Check every request, and limit by headers what a browser may do with the answer.

Every program and user of this machine can connect, so a request must hold the token: in a cookie, in a header, or in
the query of its address, which then sets the cookie. A page of another site can make a browser send requests here.
Requests through a foreign name of this machine (DNS rebinding) are recognised by `Host`; the headers keep other sites
from reading or framing the pages.
"""

import hmac
from collections.abc import Collection, Iterator
from urllib.parse import parse_qsl, urlencode

from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
METHODS = ("GET", "HEAD")
COOKIE = "autoresearch-token"
COOKIE_SECONDS = 30 * 24 * 3600
QUERY = "token"
NO_TOKEN = b"no valid token: open the whole address that `autoresearch serve` prints, up to the end of its token\n"


class Guard:
    """Let GET and HEAD requests to one of `hosts` with the `token` through, and add the headers to every answer."""

    def __init__(self, app: ASGIApp, hosts: Collection[str], token: str) -> None:
        self.app, self.hosts, self.token = app, frozenset(hosts), token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.encode(): value.encode() for name, value in HEADERS.items()}
                kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in own]
                message = {**message, "headers": [*kept, *own.items()]}
            await send(message)

        named = [value.decode("latin-1").lower() for value in _values(scope, b"host")]
        if len(named) != 1 or named[0] not in self.hosts:
            await _answer(send_with_headers, 400, b"unknown host\n")
        elif scope["method"] not in METHODS:
            await _answer(send_with_headers, 405, b"only GET and HEAD are allowed\n", (b"allow", b"GET, HEAD"))
        elif any(map(self._is_token, _tokens_in_query(scope))):
            await _answer(send_with_headers, 303, b"", (b"location", _clean(scope, named[0])), self._cookie())
        elif any(map(self._is_token, _tokens_in_headers(scope))):
            await self.app(scope, receive, send_with_headers)
        else:
            await _answer(send_with_headers, 403, NO_TOKEN)

    def _is_token(self, value: str) -> bool:
        return hmac.compare_digest(value.encode(), self.token.encode())

    def _cookie(self) -> tuple[bytes, bytes]:
        words = f"{COOKIE}={self.token}; Max-Age={COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Strict"
        return b"set-cookie", words.encode()


def _values(scope: Scope, name: bytes) -> Iterator[bytes]:
    return (value for key, value in scope["headers"] if key == name)


def _tokens_in_query(scope: Scope) -> list[str]:
    return [value for name, value in _query(scope) if name == QUERY]


def _tokens_in_headers(scope: Scope) -> Iterator[str]:
    for value in _values(scope, b"authorization"):
        kind, _, token = value.decode("latin-1").partition(" ")
        if kind.lower() == "bearer":
            yield token.strip()
    for value in _values(scope, b"cookie"):
        for part in value.decode("latin-1").split(";"):
            name, _, token = part.strip().partition("=")
            if name == COOKIE:
                yield token


def _query(scope: Scope) -> list[tuple[str, str]]:
    return parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _clean(scope: Scope, host: str) -> bytes:
    """Return the address of a request without its token; whole, because a path may begin with `//`."""
    path = scope["raw_path"].decode("latin-1")
    query = urlencode([(name, value) for name, value in _query(scope) if name != QUERY])
    return f"http://{host}{path}{'?' * bool(query)}{query}".encode("latin-1")


async def _answer(send: Send, status: int, words: bytes, *headers: tuple[bytes, bytes]) -> None:
    plain = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(words)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": plain})
    await send({"type": "http.response.body", "body": words})
