"""Addresses, keys and answers that can never work are said once, in one line, and cost nothing."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from support.messages_server import MessagesServer, Reply, Status, text

from autoresearch.agents.base import Unavailable, Unusable
from autoresearch.agents.claude.claude_model import Claude
from autoresearch.agents.rehearsal import bare_brief, rehearse
from autoresearch.agents.services import CallRecord, Services
from autoresearch.config import Config
from autoresearch.errors import UsageError
from autoresearch.text import plain_text

READY = Reply([text("ready")])
EXAMPLES = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
SIGNS = "aZ7-_.~ \t\n\r\"'\u201c\u00e9\x00\x7f"


@pytest.fixture(scope="module")
def server() -> Iterator[MessagesServer]:
    with MessagesServer([READY]) as one:
        yield one


def check(calls: list[CallRecord], **config: Any) -> str | None:
    """Check an agent that is charged for; return the line of its refusal, None if it works."""
    services = Services(on_call=calls.append, max_wait_s=0.0, sleep=lambda seconds: None)
    try:
        Claude(Config(**{"model": "claude-opus-5-5", **config}), services).check()
    except (UsageError, Unusable, Unavailable) as error:
        line = str(error)
        assert line and "\n" not in line and plain_text(line) == line
        return line
    return None


def cost(calls: list[CallRecord]) -> float:
    return sum(call.cost_usd or 0.0 for call in calls if call.seconds is not None)


@pytest.mark.slow
@EXAMPLES
@given(st.text(SIGNS, min_size=1, max_size=12))
def test_any_key_is_sent_as_it_is_or_refused_without_being_shown(server: MessagesServer, key: str) -> None:
    calls: list[CallRecord] = []
    before = len(server.requests)
    line = check(calls, base_url=server.url, auth_token=SecretStr(f"{key}secret-7f3a{key}"))
    if line is None:
        assert server.requests[-1].headers["authorization"] == f"Bearer {key}secret-7f3a{key}"
    else:
        assert line.startswith("auth_token ") and "7f3a" not in line
        assert len(server.requests) == before and not calls


@EXAMPLES
@given(
    st.sampled_from(["http", "https", "HTTP", "htp", "", "localhost"]),
    st.sampled_from(["://", ":/", ":", "//", ""]),
    st.sampled_from(["127.0.0.1", "localhost", "[::1]", "[::1", "user:pass-word@127.0.0.1", "", " ", "\u00fc"]),
    st.sampled_from(["", ":9", ":0", ":port", ":99999", ":-1", "PORT"]),
    st.sampled_from(["", "/", "/v1", "/v1/", "?a=b", "#c", "\n"]),
)
def test_any_address_works_or_is_refused_at_no_cost(
    server: MessagesServer, scheme: str, sign: str, host: str, port: str, path: str
) -> None:
    here = server.url.rpartition(":")[2]
    calls: list[CallRecord] = []
    before = len(server.requests)
    line = check(calls, base_url=scheme + sign + host + (f":{here}" if port == "PORT" else port) + path)
    if line is None:
        assert len(server.requests) == before + 1
    else:
        assert "pass-word" not in line
        assert len(server.requests) > before or cost(calls) == 0
        assert line.startswith("base_url") or "dropped connection" in line  # nobody listens there


EVENTS = [
    'event: message_start\ndata: {"type": "message_start", "message": {"id": "m", "type": "message"}}\n\n',
    'event: message_stop\ndata: {"type": "message_stop"}\n\n',
    'event: ping\ndata: {"type": "ping"}\n\n',
    'data: {"error": {"code": 400, "type": "bad", "message": "no room"}}\n\n',
    'event: error\ndata: {"type": "error", "error": {"type": "odd", "message": "no"}}\n\n',
    "<!doctype html><title>Log in</title>",
    '{"error": "no such endpoint"}',
    '{"type": "message", "content": []}',
    "[" * 2000,
    "data: ",
    "\n\n",
    "null",
]


@pytest.mark.slow
@EXAMPLES
@given(
    st.lists(st.sampled_from(EVENTS) | st.text(max_size=5), max_size=4).map("".join),
    st.sampled_from(["text/event-stream", "text/html; charset=utf-8", "application/json", "text/plain", ""]),
    st.sampled_from([200, 200, 200, 204, 302, 400, 500]),
)
def test_any_answer_is_a_line(body: str, kind: str, status: int) -> None:
    headers = {"content-type": kind} if kind else {}
    with MessagesServer([Status(status, body=body.encode("utf-8", "replace").decode(), headers=headers)]) as server:
        check([], base_url=server.url, auth_token=SecretStr("key-0123456789"))


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (Status(200, body="<html><title>Log in</title>", headers={"content-type": "text/html"}), "a web page .Log in."),
        (Status(200, body='{"error": "no endpoint"}', headers={"content-type": "application/json"}), "no endpoint"),
        (Status(200, body='{"ok": 1}', headers={"content-type": "application/json"}), "other JSON"),
        (Status(200, body=EVENTS[3], headers={"content-type": "text/event-stream"}), "request refused: no room"),
        (Status(200, body=EVENTS[3].removeprefix("data: ")), "request refused: no room"),
    ],
)
def test_another_server_at_the_address_is_said_at_the_start_and_not_charged(answer: Status, line: str) -> None:
    calls: list[CallRecord] = []
    with MessagesServer([answer]) as server, pytest.raises(Unusable, match=line):
        Claude(
            Config(base_url=server.url, model="claude-opus-5-5"), Services(on_call=calls.append, max_wait_s=0.0)
        ).check()
    assert cost(calls) == 0


def test_a_whole_message_in_place_of_a_stream_counts() -> None:
    usage = {"input_tokens": 5, "output_tokens": 5}
    message = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [text("ready")]}
    body = json.dumps({**message, "stop_reason": "end_turn", "stop_sequence": None, "usage": usage})
    calls: list[CallRecord] = []
    with MessagesServer([Status(200, body=body, headers={"content-type": "application/json"})]) as server:
        assert check(calls, base_url=server.url) is None
    assert calls[-1].input_tokens == 5 and cost(calls) > 0


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks9://127.0.0.1:9"),
        ("NO_PROXY", "localhost,fd07:b51a:cc66:f0::/64"),
        ("HTTP_PROXY", "http://me:pass-word@host:port"),
        ("SSL_CERT_FILE", "/nowhere/certificates.pem"),
        ("ANTHROPIC_BASE_URL", "localhost:8000"),
        ("ANTHROPIC_API_KEY", "key-7f3a\n"),
    ],
)
def test_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    for name in ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "key-0123456789")
    monkeypatch.setenv(variable, value)
    line = check([])
    assert line is not None and variable in line
    assert "pass-word" not in line and "7f3a" not in line


@pytest.mark.parametrize("key", ["key-7f3a\n", " key-7f3a", "\u201ckey-7f3a\u201d", "'key-7f3a'", "key 7f3a"])
def test_a_key_that_no_header_can_hold_is_refused_at_once(key: str) -> None:
    line = check([], base_url="http://127.0.0.1:9", auth_token=SecretStr(key))
    assert line is not None and line.startswith("auth_token ") and "7f3a" not in line


# --- hints


def reason(reply: Reply, source: str, **config: Any) -> str:
    with MessagesServer([READY, reply]) as server:
        found = rehearse(Claude(Config(base_url=server.url, model="m", **config), Services()), bare_brief(source))
    return str(found.reason)


def test_a_prompt_that_was_cut_is_said(bigram: str) -> None:
    long = bigram + "# a line of a long comment\n" * 2000
    said = reason(Reply([text("How can I help?")], usage={"input_tokens": 2048, "output_tokens": 9}), long)
    assert "counted 2048 tokens of a prompt of about" in said and "OLLAMA_CONTEXT_LENGTH" in said
    whole = reason(Reply([text("How can I help?")], usage={"input_tokens": 20_000, "output_tokens": 9}), long)
    assert "cuts prompts" not in whole


@pytest.mark.parametrize(
    "words",
    [
        '<tool_call>{"name": "check", "arguments": {}}</tool_call>',
        '```json\n{"command": "str_replace", "path": "train.py"}\n```',
        "[TOOL_CALLS] propose",
        "<function=propose>",
    ],
)
def test_tool_calls_in_the_text_are_said(bigram: str, words: str) -> None:
    assert "edit_format: text" in reason(Reply([text(words)]), bigram)
    assert "edit_format: text" not in reason(Reply([text(words)]), bigram, edit_format="text")
