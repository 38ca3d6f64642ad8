"""Addresses, keys and proxies, validated once: what no request could be sent with is said at the start."""

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autoresearch.agents.base import Unusable
from autoresearch.errors import UsageError
from autoresearch.text import Trace, one_line

if TYPE_CHECKING:
    import httpx2

CONNECT_TIMEOUT_S = 15.0
MAX_SHOWN_CHARS = 120
KEYLESS = "none"  # sent as the key to a server that is given none
PROXIES = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE"
HEADERS = frozenset(
    ("host", "connection", "accept", "accept-encoding", "content-type", "content-length", "user-agent", "authorization")
)  # that any server needs


def check_address(base_url: str | None, variable: str) -> None:
    """Raise UsageError if `base_url`, or without one the variable that the SDK reads, cannot be a server's address."""
    if base_url:
        _check_url("base_url", base_url)
    elif url := os.environ.get(variable):
        _check_url(variable, url)


def _check_url(name: str, url: str) -> None:
    """Raise UsageError if an address cannot be that of a server."""
    if reason := _complaint(url):
        shown = "" if "@" in url else f" `{one_line(url, MAX_SHOWN_CHARS)}`"  # it may hold a password
        raise UsageError(f"{name}{shown} {reason}: write it like http://localhost:11434 or https://example.org")


def _complaint(url: str) -> str | None:
    import httpx2

    if any(not "!" <= sign <= "~" for sign in url):
        return "holds a blank or another character that no address has"
    try:
        parts = urlsplit(url)
        port = parts.port
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        return "has no valid host and port"
    if parts.scheme not in ("http", "https"):
        return "does not begin with http:// or https://"
    if not parts.hostname or port == 0:
        return "has no valid host and port"
    return "has more than a host, a port and a path" if parts.query or parts.fragment else None


def check_environment(create_http_client: Callable[[], Any]) -> None:
    """Raise Unusable if the proxies or certificates of the environment cannot be used.

    An SDK's client reports them too, but it is then half made, and prints a traceback when it is freed.
    """
    import httpx2

    try:
        create_http_client().close()
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
        words = one_line(Trace().clean(str(error)), MAX_SHOWN_CHARS)
        advice = f"correct or unset the variable that it comes from ({PROXIES})"
        raise Unusable(f"no connection can be prepared ({words}): {advice}") from None


def check_key(name: str, key: str | None) -> None:
    """Raise Unusable, without the key, if it cannot be sent in a header."""
    if not key:
        return
    if key != key.strip():
        raise Unusable(f"{name} begins or ends with a blank or a newline: set it without")
    if any(not "!" <= sign <= "~" for sign in key) or key[0] in "\"'":
        raise Unusable(f"{name} holds a quote, a blank or another character that no key has: set it without")


def timeout(seconds: float) -> "httpx2.Timeout":
    """Return the timeouts of one request, whose server may say nothing for so long."""
    import httpx2

    return httpx2.Timeout(seconds, connect=min(seconds, CONNECT_TIMEOUT_S))


def is_host(url: str, domain: str) -> bool:
    """Return whether an address is at a domain, or below it."""
    host = urlsplit(url).hostname or ""
    return host == domain or host.endswith(f".{domain}")


def keep_ours(key: str, also: frozenset[str], request: "httpx2.Request") -> None:
    """Remove all headers of a request that the server need not have; the key is the one for this server.

    An SDK adds what the environment holds for another server: keys, and headers of its own.
    """
    for name in set(request.headers) - HEADERS - also:
        del request.headers[name]
    if "authorization" in request.headers:  # a redirect to another server has lost it
        request.headers["authorization"] = f"Bearer {key}"
