"""Address and key of a server that speaks the Messages API."""

import os
from functools import partial
from typing import TYPE_CHECKING

from autoresearch.agents.base import Unusable
from autoresearch.agents.llm.connection import (
    CONNECT_TIMEOUT_S,
    KEYLESS,
    MAX_SHOWN_CHARS,
    check_address,
    check_environment,
    check_key,
    is_host,
    keep_ours,
)
from autoresearch.config import Config
from autoresearch.text import one_line

if TYPE_CHECKING:
    import anthropic

NO_KEY = "there is no key for the model: set ANTHROPIC_API_KEY, or use --agent sweep, which needs none"
VERSION = frozenset(["anthropic-version"])  # the header of this API beside those that any server needs


def create_client(config: Config, read_timeout_s: float) -> "anthropic.Anthropic":
    """Return a client without retries. Raises UsageError for a wrong address, Unusable for a wrong key or proxy."""
    import anthropic

    check_address(config.base_url, "ANTHROPIC_BASE_URL")
    token = config.auth_token.get_secret_value() if config.auth_token else None
    url = config.base_url.rstrip("/").removesuffix("/v1") if config.base_url else None
    check_environment(anthropic.DefaultHttpxClient)
    http_client = None
    # another server gets nothing of what the environment holds for Anthropic: one that needs a key has `auth_token`
    if config.base_url and not _is_anthropic(config.base_url):
        token = token or KEYLESS
        http_client = anthropic.DefaultHttpxClient(event_hooks={"request": [partial(keep_ours, token, VERSION)]})
    timeout = anthropic.Timeout(read_timeout_s, connect=CONNECT_TIMEOUT_S)
    try:
        client = anthropic.Anthropic(
            auth_token=token, base_url=url, max_retries=0, timeout=timeout, http_client=http_client
        )
    except anthropic.CredentialsError as error:
        raise Unusable(f"{NO_KEY} ({one_line(str(error), MAX_SHOWN_CHARS)})") from None
    if not (client.api_key or client.auth_token or client.credentials):
        raise Unusable(NO_KEY)
    check_key("ANTHROPIC_API_KEY", client.api_key)
    check_key("auth_token" if token else "ANTHROPIC_AUTH_TOKEN", client.auth_token)
    return client


def _is_anthropic(url: str) -> bool:
    return is_host(url, "anthropic.com") or url == os.environ.get("ANTHROPIC_BASE_URL")
