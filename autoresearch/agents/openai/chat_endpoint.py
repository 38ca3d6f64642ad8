"""Address and key of a server that speaks Chat Completions."""

import os
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from autoresearch.agents.base import Unusable
from autoresearch.agents.llm.connection import (
    CONNECT_TIMEOUT_S,
    KEYLESS,
    check_address,
    check_environment,
    check_key,
    is_host,
    keep_ours,
)
from autoresearch.config import Config
from autoresearch.errors import describe_install

if TYPE_CHECKING:
    import openai

NO_KEY = (
    "there is no key for the model: set OPENAI_API_KEY, or base_url for a server of your own,"
    " or use --agent sweep, which needs none"
)
PACKAGE = "openai>=3,<4"


def create_client(config: Config, read_timeout_s: float) -> "openai.OpenAI":
    """Return a client without retries.

    Raises UsageError for a wrong address, Unusable for a wrong key or proxy, or without the package `openai`.
    """
    try:
        import openai
    except ImportError:
        how = f"{describe_install(PACKAGE)} installs it (the extra `openai` of autoresearch)"
        raise Unusable(f"the package `openai` is missing: {how}") from None
    check_address(config.base_url, "OPENAI_BASE_URL")
    url, key = _with_path(config.base_url), _find_key(config)
    check_environment(openai.DefaultHttpxClient)
    timeout = openai.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S)
    if is_openai(config):
        return openai.OpenAI(api_key=key, base_url=url, max_retries=0, timeout=timeout)
    # another server gets nothing of what the environment holds for OpenAI, whatever the SDK makes of it
    http_client = openai.DefaultHttpxClient(event_hooks={"request": [partial(keep_ours, key, frozenset())]})
    return openai.OpenAI(api_key=key, base_url=url, max_retries=0, timeout=timeout, http_client=http_client)


def is_openai(config: Config) -> bool:
    """Return whether the server is the one that OPENAI_API_KEY belongs to."""
    url = config.base_url
    return not url or is_host(url, "openai.com") or url == os.environ.get("OPENAI_BASE_URL")


def is_local(url: str) -> bool:
    """Return whether an address is on this machine."""
    return urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")


def _find_key(config: Config) -> str:
    """Return the key for the server. Raises Unusable."""
    token = config.auth_token.get_secret_value() if config.auth_token else ""
    check_key("auth_token", token)
    if token or not is_openai(config):
        return token or KEYLESS
    key = os.environ.get("OPENAI_API_KEY", "")
    check_key("OPENAI_API_KEY", key)
    if not key:
        raise Unusable(NO_KEY)
    return key


def _with_path(url: str | None) -> str | None:
    """Return an address with the usual path `/v1` if it has none."""
    return f"{url.rstrip('/')}/v1" if url and urlsplit(url).path in ("", "/") else url
