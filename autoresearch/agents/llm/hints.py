"""Hints on why a model made no proposal: what its server did to the prompt, or how the model calls tools."""

import re
from collections.abc import Iterator

from autoresearch.agents.llm.messages import Reply

MIN_PROMPT_BYTES = 8000  # of a request; a shorter one says nothing
MAX_BYTES_PER_TOKEN = 12.0  # of JSON with code: three times what tokenizers reach

_TOOL_CALL = re.compile(
    r"<tool_call|<function[=_]|<invoke name=|\[TOOL_CALLS\]|<\|python_tag\|>"
    r'|"(?:name|function|tool)"\s*:\s*"(?:str_replace_based_edit_tool|check|done|history|show|propose)"'
    r'|"command"\s*:\s*"(?:view|create|str_replace|insert)"'
)


def hints(reply: Reply, edit_format: str) -> str:
    """Return hints on the last reply of a conversation without a proposal; empty if there are none."""
    return "".join(f"; {hint}" for hint in _hints(reply, edit_format))


def _hints(reply: Reply, edit_format: str) -> Iterator[str]:
    tokens, size = reply.usage.prompt_tokens if reply.usage else 0, reply.request_bytes
    if tokens and size >= MIN_PROMPT_BYTES and size / tokens > MAX_BYTES_PER_TOKEN:
        yield (
            f"the server counted {tokens} tokens of a prompt of about {size // 4}, so it cuts prompts:"
            " give it a longer context (Ollama: OLLAMA_CONTEXT_LENGTH)"
        )
    if edit_format == "tools" and not reply.calls and _TOOL_CALL.search(reply.text):
        yield "it writes tool calls as text: set `edit_format: text`, or give its server a parser of tool calls"
