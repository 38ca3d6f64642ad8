"""Address and key of the model's server, validated once: what no request could be sent with is said at the start."""

import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autoresearch.agents.base import Unusable
from autoresearch.config import Config
from autoresearch.errors import UsageError
from autoresearch.text import Trace, one_line

if TYPE_CHECKING:
    import anthropic

CONNECT_TIMEOUT_S = 15.0
MAX_SHOWN_CHARS = 120
NO_KEY = "there is no key for the model: set ANTHROPIC_API_KEY, or use --agent sweep, which needs none"
PROXIES = "HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE"


def create_client(config: Config, read_timeout_s: float) -> "anthropic.Anthropic":
    """Return a client without retries. Raises UsageError for a wrong address, Unusable for a wrong key or proxy."""
    import anthropic

    if config.base_url:
        check_url("base_url", config.base_url)
    elif url := os.environ.get("ANTHROPIC_BASE_URL"):
        check_url("ANTHROPIC_BASE_URL", url)
    token = config.auth_token.get_secret_value() if config.auth_token else None
    url = config.base_url.rstrip("/").removesuffix("/v1") if config.base_url else None
    # another server must not get the key for Anthropic: one that needs a key is given `auth_token`
    if config.base_url and not _is_anthropic(config.base_url):
        token = token or "none"
    _check_environment()
    timeout = anthropic.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S)
    try:
        client = anthropic.Anthropic(auth_token=token, base_url=url, max_retries=0, timeout=timeout)
    except anthropic.CredentialsError as error:
        raise Unusable(f"{NO_KEY} ({one_line(str(error), MAX_SHOWN_CHARS)})") from None
    if not (client.api_key or client.auth_token or client.credentials):
        raise Unusable(NO_KEY)
    _check_key("ANTHROPIC_API_KEY", client.api_key)
    _check_key("auth_token" if token else "ANTHROPIC_AUTH_TOKEN", client.auth_token)
    return client


def check_url(name: str, url: str) -> None:
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


def _check_environment() -> None:
    """Raise Unusable if the proxies or certificates of the environment cannot be used.

    The SDK's client reports them too, but it is then half made, and prints a traceback when it is freed.
    """
    import anthropic
    import httpx2

    try:
        anthropic.DefaultHttpxClient().close()
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:
        words = one_line(Trace().clean(str(error)), MAX_SHOWN_CHARS)
        advice = f"correct or unset the variable that it comes from ({PROXIES})"
        raise Unusable(f"no connection can be prepared ({words}): {advice}") from None


def _check_key(name: str, key: str | None) -> None:
    """Raise Unusable, without the key, if it cannot be sent in a header."""
    if not key:
        return
    if key != key.strip():
        raise Unusable(f"{name} begins or ends with a blank or a newline: set it without")
    if any(not "!" <= sign <= "~" for sign in key) or key[0] in "\"'":
        raise Unusable(f"{name} holds a quote, a blank or another character that no key has: set it without")


def _is_anthropic(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return host == "anthropic.com" or host.endswith(".anthropic.com") or url == os.environ.get("ANTHROPIC_BASE_URL")
