"""Chat Completions that fail: faults, keys, addresses, limits on the cost, secrets."""

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from support.chat_agents import KEY, MODEL, agent
from support.chat_server import ChatServer
from support.messages_server import Drop, MessagesServer, Reply, Status, Step, text, thinking
from support.replies import GOOD, edit, propose
from support.researcher import Faulty, Researcher

from autoresearch.agents.base import BadProposal, Spent, Unavailable, Unusable
from autoresearch.agents.openai import chat_endpoint
from autoresearch.agents.openai.openai_agent import OpenAI
from autoresearch.agents.registry import create
from autoresearch.agents.services import CallRecord, Services
from autoresearch.brief.brief import Brief
from autoresearch.config import Config, Price
from autoresearch.errors import UsageError
from autoresearch.text import plain_text

PRICES = {MODEL: Price(input=4, output=20, cache_read=0.4)}
EXAMPLES = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def brief(bigram: str) -> Brief:
    return Brief(2, 7, "Lower val_bpb.\n", bigram, 0, 2.4, 0.01, [])


@pytest.fixture(autouse=True)
def no_settings_of_openai(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "BASE_URL", "ORG_ID", "PROJECT_ID", "CUSTOM_HEADERS", "ADMIN_KEY"):
        monkeypatch.delenv(f"OPENAI_{name}", raising=False)


# --- faults

PASSING = {
    "rate limit": Status(429, "rate_limit_exceeded", headers={"retry-after": "0"}),
    "overloaded": Status(503, "server_error"),
    "overloaded in the middle": Reply([text("so")], ends="error:server_error"),
    "bad gateway": Status(502, body="<html>502</html>"),
    "gateway timeout": Status(504, "timeout"),
    "server error": Status(500, "server_error"),
    "dropped before": Drop(),
    "dropped in the middle": Reply([text("so")], ends="drop"),
    "closed in the middle": Reply([text("so")], ends="close", after=2),
    "closed at the start": Reply([text("so")], ends="close", after=0),
    "garbage": Reply([text("so")], ends="garbage", after=2),
}


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_what_passes_is_waited_for(brief: Brief, fault: Step) -> None:
    calls: list[CallRecord] = []
    with ChatServer([fault, fault, GOOD]) as server:
        proposal = agent(server, calls).propose(brief)
    assert proposal.text != brief.source
    assert [bool(call.error) for call in calls if call.seconds is not None] == [True, True, False]
    assert [entry["kind"] for entry in proposal.trace].count("fault") == 2


@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_without_patience_the_agent_is_away_until_later(brief: Brief, fault: Step) -> None:
    with ChatServer([fault]) as server:
        before = time.time()
        with pytest.raises(Unavailable) as found:
            agent(server, max_wait_s=0.0).propose(brief)
    assert before < found.value.retry_at < time.time() + 3


def test_what_the_server_asks_for_is_honoured(brief: Brief) -> None:
    with ChatServer([Status(429, "tokens", headers={"retry-after": "1234"})]) as server:
        before = time.time()
        with pytest.raises(Unavailable, match="rate limit") as found:
            agent(server, max_wait_s=20.0).propose(brief)
    assert before + 1234 <= found.value.retry_at <= time.time() + 1236


@pytest.mark.parametrize("slow", [Reply([text("x")], ends="pings"), Reply([text("x")], ends="hang"), Drop(hang=20)])
def test_a_server_that_never_ends_is_cut_off(brief: Brief, slow: Step) -> None:
    calls: list[CallRecord] = []
    with ChatServer([slow]) as server, pytest.raises(Unavailable, match="timeout"):
        agent(server, calls, max_call_s=0.6, max_wait_s=0.0).propose(brief)
    assert calls[-1].error and calls[-1].error.startswith("timeout")


@pytest.mark.parametrize("Server", [ChatServer, MessagesServer])
def test_a_server_that_says_nothing_is_cut_off_at_the_end_of_the_session(
    brief: Brief, Server: type[MessagesServer]
) -> None:
    services = Services(seconds_left=lambda: 1.0, sleep=lambda seconds: None, max_wait_s=0.0)
    with Server([Drop(hang=20)]) as server:
        config = Config(base_url=server.url, auth_token=SecretStr(KEY), model=MODEL)
        made = create("openai" if Server is ChatServer else "claude", config, services)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="timeout"):
            made.propose(brief)
        assert time.monotonic() < began + 3


@pytest.mark.parametrize("Server", [ChatServer, MessagesServer])
def test_time_before_the_first_word_counts(brief: Brief, Server: type[MessagesServer]) -> None:
    """A server that thinks before it sends its headers, and then sends no end, has one limit for both."""
    services = Services(max_call_s=2.0, sleep=lambda seconds: None, max_wait_s=0.0)

    def plan(request: Any) -> Step:
        time.sleep(1.5)
        return Reply([text("x")], ends="pings")

    with Server(plan) as server:
        config = Config(base_url=server.url, auth_token=SecretStr(KEY), model=MODEL)
        made = create("openai" if Server is ChatServer else "claude", config, services)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="timeout"):
            made.propose(brief)
        assert time.monotonic() < began + 3


HOPELESS = [
    (Status(401, "invalid_request_error", "Incorrect API key provided"), r"authentication.*OPENAI_API_KEY"),
    (Status(403, "permission_error"), "permission"),
    (Status(404, "invalid_request_error", "The model `m` does not exist"), r"unknown model.*correct `model`"),
    (Status(404, body='{"detail": "Not Found"}'), r"no Chat Completions there .Not Found.*correct `base_url`"),
    (Status(404, body="404 page not found"), r"no Chat Completions there .404 page"),
    (Status(429, "insufficient_quota", "You exceeded your current quota"), "no credit.*add credit"),
    (Status(402, body='{"error": {"code": 402, "message": "Insufficient credits"}}'), "no credit"),
    (Status(400, "invalid_request_error", "Your credit balance is too low"), "no credit"),
    (Status(200, body="<html><title>Log in</title>", headers={"content-type": "text/html"}), "a web page .Log in."),
    (Status(200, body='{"ok": 1}', headers={"content-type": "application/json"}), "other JSON"),
    (Status(200, body='{"error": "no endpoint"}', headers={"content-type": "application/json"}), "no endpoint"),
]


@pytest.mark.parametrize(("fault", "line"), HOPELESS)
def test_what_the_user_must_mend_stops_with_one_line(brief: Brief, fault: Step, line: str) -> None:
    for ask in (lambda one: one.check(), lambda one: one.propose(brief)):
        calls: list[CallRecord] = []
        with ChatServer([fault]) as server, pytest.raises(Unusable, match=line) as found:
            ask(agent(server, calls, prices=PRICES))
        assert "\n" not in str(found.value) and KEY not in str(found.value)
        assert found.value.exit_code == 3 and not calls[-1].cost_usd


def test_another_api_at_the_address_is_said() -> None:
    with MessagesServer([Reply([text("ready")])]) as server, pytest.raises((Unusable, Unavailable)) as found:
        agent(server, max_wait_s=0.0).check()  # type: ignore[arg-type]
    assert "\n" not in str(found.value)


CHUNKS = [
    'data: {"choices": [{"delta": {"content": "x"}}]}\n\n',
    'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n',
    'data: {"choices": [], "usage": {"prompt_tokens": 5}}\n\n',
    'data: {"error": {"code": 400, "type": "bad", "message": "no room"}}\n\n',
    'data: {"error": "no"}\n\n',
    "data: [DONE]\n\n",
    "data: [1]\n\n",
    '{"error": "no such endpoint"}',
    "<!doctype html>",
    "[" * 2000,
    "data: ",
    "\n\n",
    "null",
]


@pytest.mark.slow
@EXAMPLES
@given(
    st.lists(st.sampled_from(CHUNKS) | st.text(max_size=5), max_size=4).map("".join),
    st.sampled_from(["text/event-stream", "text/html; charset=utf-8", "application/json", "text/plain", ""]),
    st.sampled_from([200, 200, 200, 204, 302, 400, 500]),
)
def test_any_answer_is_a_line(body: str, kind: str, status: int) -> None:
    headers = {"content-type": kind} if kind else {}
    with ChatServer([Status(status, body=body.encode("utf-8", "replace").decode(), headers=headers)]) as server:
        try:
            agent(server, max_wait_s=0.0).check()
        except (Unusable, Unavailable) as error:
            assert str(error) and "\n" not in str(error) and plain_text(str(error)) == str(error)


def test_a_whole_answer_in_place_of_a_stream_counts() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 6}
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "ready"}}
    body = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})
    calls: list[CallRecord] = []
    with ChatServer([Status(200, body=body, headers={"content-type": "application/json"})]) as server:
        agent(server, calls).check()
    assert (calls[-1].input_tokens, calls[-1].output_tokens) == (5, 6)


# --- addresses and keys


def lines_of(**config: Any) -> str | None:
    """Check an agent; return the line of its refusal, None if it works."""
    services = Services(max_wait_s=0.0, sleep=lambda seconds: None)
    try:
        OpenAI(Config(**{"model": MODEL, **config}), services).check()
    except (UsageError, Unusable, Unavailable) as error:
        assert "\n" not in str(error)
        return str(error)
    return None


@pytest.fixture(scope="module")
def server() -> Iterator[ChatServer]:
    with ChatServer([Reply([text("ready")])]) as one:
        yield one


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/api/v1"])
def test_an_address_without_a_path_gets_the_usual_one(server: ChatServer, path: str) -> None:
    assert lines_of(base_url=server.url + path) is None
    expected = "/api/v1" if "api" in path else "/v1"
    assert server.requests[-1].path == f"{expected}/chat/completions"


@pytest.mark.parametrize("url", ["localhost:8000", "htp://x", "http://", "http://me:pass-word@host:port", "http://a b"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    line = lines_of(base_url=url)
    assert line is not None and line.startswith("base_url") and "pass-word" not in line


@pytest.mark.parametrize("key", ["key-7f3a\n", "“key-7f3a”", "'key-7f3a'", "key 7f3a"])
def test_a_key_that_no_header_can_hold_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    line = lines_of(base_url="http://127.0.0.1:9", auth_token=SecretStr(key))
    assert line is not None and line.startswith("auth_token ") and "7f3a" not in line
    monkeypatch.setenv("OPENAI_API_KEY", key)
    line = lines_of()
    assert line is not None and line.startswith("OPENAI_API_KEY ") and "7f3a" not in line


@pytest.mark.parametrize(
    ("variable", "value"), [("ALL_PROXY", "socks9://127.0.0.1:9"), ("OPENAI_BASE_URL", "localhost:8000")]
)
def test_the_environment_is_checked_too(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key-0123456789")
    monkeypatch.setenv(variable, value)
    line = lines_of()
    assert line is not None and variable in line


def test_no_key_no_package_and_no_model_are_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unusable, match="OPENAI_API_KEY"):
        create("openai:gpt")
    with pytest.raises(UsageError, match="openai:MODEL"):
        create("openai", Config(base_url="http://127.0.0.1:9"))
    monkeypatch.setitem(sys.modules, "openai", None)
    with pytest.raises(Unusable, match=r"pip install .*'openai>=3,<4'` installs it"):
        create("openai:gpt", Config(base_url="http://127.0.0.1:9"))


def test_what_belongs_to_openai_goes_nowhere_else(brief: Brief, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("API_KEY", "ORG_ID", "PROJECT_ID", "ADMIN_KEY", "WEBHOOK_SECRET")
    for name in names:
        monkeypatch.setenv(f"OPENAI_{name}", "sk-for-openai-only")
    headers = "Authorization: Bearer sk-for-openai-only\nX-Mine: sk-for-openai-only\nauthorization: sk-for-openai-only"
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", headers)
    with ChatServer([GOOD]) as server:
        agent(server).propose(brief)
        agent(server, auth_token=None).propose(brief)
        assert "for-openai-only" not in json.dumps([request.headers for request in server.requests])
        keys = [request.headers["authorization"] for request in server.requests]
        assert keys == [f"Bearer {KEY}", "Bearer none"]
        monkeypatch.delenv("OPENAI_CUSTOM_HEADERS")
        monkeypatch.setenv("OPENAI_BASE_URL", server.url + "/v1")
        agent(server, auth_token=None, base_url=None).propose(brief)
        assert server.requests[-1].headers["authorization"] == "Bearer sk-for-openai-only"
        assert server.requests[-1].body["max_completion_tokens"], "OpenAI's name of the limit"


def test_a_redirect_gets_no_key(brief: Brief) -> None:
    with ChatServer([GOOD]) as other:
        away = Status(307, headers={"location": f"{other.url}/v1/chat/completions"})
        with ChatServer([away]) as server:
            agent(server).propose(brief)
        assert "authorization" not in other.requests[0].headers


def test_openai_is_known_by_its_host() -> None:
    for url in ("https://api.openai.com/v1", "https://eu.api.openai.com/v1", None):
        assert chat_endpoint.is_openai(Config(base_url=url))
    for url in ("https://openai.com.example.org", "https://notopenai.com", "http://localhost/openai.com"):
        assert not chat_endpoint.is_openai(Config(base_url=url))


# --- Ollama


def test_ollama_is_on_this_machine_and_free() -> None:
    researcher = create("ollama:qwen3:8b", Config(max_usd=1.0))
    assert (researcher.name, researcher.model) == ("ollama", "qwen3:8b")
    assert str(researcher.server.api.client.base_url) == "http://localhost:11434/v1/"  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="ollama list"):
        create("ollama")


@pytest.mark.parametrize(
    ("model", "url", "cost"), [("m", None, 0.0), ("gpt-oss:120b-cloud", None, None), ("m", "http://gpu.lan:1", None)]
)
def test_only_what_runs_here_is_free(model: str, url: str | None, cost: float | None) -> None:
    researcher: Any = create(f"ollama:{model}", Config(base_url=url))
    assert researcher.server.prices.max_cost(model, 100, 100) == cost


@pytest.mark.slow
def test_ollama_says_how_to_get_a_model_or_to_start(brief: Brief) -> None:
    missing = Status(404, body='{"error": {"message": "model \'x\' not found", "type": "not_found_error"}}')
    with ChatServer([missing]) as server, pytest.raises(Unusable, match=r"unknown model.*ollama pull"):
        create("ollama:x", Config(base_url=server.url)).check()
    with pytest.raises(Unavailable, match=r"dropped connection.*ollama serve"):
        create("ollama:x", Config(base_url=server.url)).check()


# --- cost


def bill(usages: list[dict[str, Any]]) -> float:
    """Return the server's bill, computed independently."""
    cached = sum(usage["prompt_tokens_details"]["cached_tokens"] for usage in usages)
    prompt, output = (sum(usage[f"{name}_tokens"] for usage in usages) for name in ("prompt", "completion"))
    return (4 * (prompt - cached) + 0.4 * cached + 20 * output) / 1e6


def test_cost_equals_the_bill_where_nothing_fails(brief: Brief) -> None:
    calls: list[CallRecord] = []
    with ChatServer(Researcher()) as server:
        researcher = agent(server, calls, prices=PRICES)
        proposals = [researcher.propose(brief) for _ in range(3)]
        billed = bill(server.usages)
    assert sum(call.cost_usd or 0 for call in calls if call.seconds is not None) == pytest.approx(billed, abs=1e-9)
    assert sum(proposal.cost_usd or 0 for proposal in proposals) == pytest.approx(billed, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["", "no usage"])
def test_cap_is_held_while_calls_fail_or_tokens_are_not_counted(brief: Brief, dialect: str) -> None:
    calls: list[CallRecord] = []
    with ChatServer(Faulty(Researcher(done_every=5), 0.3), dialect) as server:
        researcher = agent(server, calls, max_usd=1.0, max_tokens=2000, prices=PRICES)
        with pytest.raises(Spent, match=r"max usd"):
            while True:
                try:
                    researcher.propose(brief)
                except BadProposal:
                    continue
        billed = bill(server.usages)
    counted = sum(call.cost_usd or 0.0 for call in calls if call.seconds is not None)
    assert billed <= counted + 1e-9 and counted <= 1.0


def test_tokens_that_are_not_counted_cost_at_most_what_is_reserved(brief: Brief) -> None:
    calls: list[CallRecord] = []
    with ChatServer([GOOD], "no usage") as server:
        proposal = agent(server, calls, prices=PRICES).propose(brief)
        billed = bill(server.usages)
    before, after = calls
    assert before.cost_usd is not None and after.cost_usd is not None
    assert billed <= after.cost_usd <= before.cost_usd and proposal.cost_usd == after.cost_usd
    assert after.input_tokens is None and after.output_tokens is None, "what nobody counted is not 0"


def test_a_cap_on_an_unknown_price_refuses_to_start() -> None:
    with pytest.raises(UsageError, match=r"price of `m` is unknown.*prices: \{m: \{input: \.\.\., output: \.\.\.\}\}"):
        create("openai:m", Config(base_url="http://127.0.0.1:9", max_usd=1.0))
    create("openai:m", Config(base_url="http://127.0.0.1:9", max_usd=1.0, prices={"m": Price(input=0, output=0)}))


def test_an_unknown_price_is_an_unknown_cost(brief: Brief) -> None:
    calls: list[CallRecord] = []
    with ChatServer([GOOD]) as server:
        assert agent(server, calls).propose(brief).cost_usd is None
    assert [call.cost_usd for call in calls] == [None, None] and calls[-1].output_tokens


# --- secrets


def test_traces_hold_no_secrets(brief: Brief, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "openai-0123456789")
    leaky = f"my key is {KEY}, yours is sk-proj-abcdefghijklmnop1234, theirs openai-0123456789"
    said = [Status(500, "server_error", leaky), Reply([thinking(leaky), text(leaky), edit(), propose(source=leaky)])]
    calls: list[CallRecord] = []
    with ChatServer(said) as server:
        proposal = agent(server, calls).propose(brief)
    stored = json.dumps([proposal.trace, [call.columns() for call in calls]])
    for secret in (KEY, "sk-proj-abcdef", "openai-0123456789"):
        assert secret not in stored
    assert "[secret]" in stored


@pytest.mark.parametrize("Server", [ChatServer, MessagesServer])
def test_half_a_character_in_a_reply_is_no_fault(brief: Brief, Server: type[MessagesServer]) -> None:
    half, pair = "\ud83d", "\ud83d\ude00"
    written = half if Server is ChatServer else ""  # in a tool call, the SDK of Messages refuses it
    first = Reply([text(f"{half} less {pair}"), edit(new=f"SMOOTHING = 0.1  # {written}")])
    calls: list[CallRecord] = []
    services = Services(on_call=calls.append, sleep=lambda seconds: None, max_wait_s=0.0)
    with Server([first, Reply([edit(f"0.1  # {written}", "0.1"), propose(hypothesis=f"less {written}")])]) as server:
        config = Config(base_url=server.url, auth_token=SecretStr(KEY), model=MODEL)
        proposal = create("openai" if Server is ChatServer else "claude", config, services).propose(brief)
    assert proposal.text != brief.source and len(server.requests) == 2
    assert not [call.error for call in calls if call.error]
    assert "less \U0001f600" in str(server.requests[1].body)
