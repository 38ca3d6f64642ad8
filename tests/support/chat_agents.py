"""Agents of a Chat Completions server of the test, and what its model says."""

from typing import Any

from pydantic import SecretStr
from support.chat_server import ChatServer

from autoresearch.agents.openai.openai_agent import OpenAI
from autoresearch.agents.services import CallRecord, Services
from autoresearch.config import Config

KEY = "test-key-0123456789"
MODEL = "qwen3-coder"


def agent(server: ChatServer, calls: list[CallRecord] | None = None, **more: Any) -> OpenAI:
    """Create an agent of that server that does not wait."""
    services = {name: more.pop(name) for name in list(more) if name in Services.__dataclass_fields__}
    services = {"sleep": lambda seconds: None, "max_wait_s": 1e9, **services}
    if calls is not None:
        services["on_call"] = calls.append
    config = {"base_url": server.url, "auth_token": SecretStr(KEY), "model": MODEL, **more}
    return OpenAI(Config(**config), Services(**services))
