"""Proposals through Chat Completions: the real SDK and real sockets, and what servers do differently."""

import gc
import json
from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import TypeAdapter
from support.chat_agents import MODEL, agent
from support.chat_server import ChatServer, refusal
from support.messages_server import Reply, Request, Status, Step, text, thinking, tool
from support.replies import GOOD, edit, propose
from support.researcher import EDITOR, Faulty, Researcher

from autoresearch.agents.base import BadProposal, Proposal, Unusable
from autoresearch.agents.lookup import BriefLibrary
from autoresearch.agents.openai.chunks import Assembly, read_usage
from autoresearch.agents.openai.openai_agent import OpenAI
from autoresearch.agents.rehearsal import bare_brief, rehearse
from autoresearch.agents.services import CallRecord, Services
from autoresearch.brief.brief import Brief
from autoresearch.brief.history import PastExperiment
from autoresearch.config import Config


@pytest.fixture
def brief(bigram: str) -> Brief:
    past = PastExperiment(1, "discard", "no gain", "openai", "optimiser", "SHARPNESS to 2", {}, 2.5, 0.1)
    return Brief(2, 7, "Lower val_bpb.\n", bigram, 0, 2.4, 0.01, [past])


def proposal_of(steps: Any, brief: Brief, dialect: str = "", **more: Any) -> Proposal:
    with ChatServer(steps, dialect) as server:
        return agent(server, **more).propose(brief)


def test_edit_and_record_become_a_proposal(brief: Brief) -> None:
    steps = [Reply([thinking("Hm."), edit()]), Reply([tool("check")]), Reply([propose()])]
    calls: list[CallRecord] = []
    with ChatServer(steps) as server:
        proposal = agent(server, calls).propose(brief)
        first, _, third = (request.body for request in server.requests)
        usage = server.usages[-1]
    assert proposal.text == brief.source.replace("SMOOTHING = 0.5", "SMOOTHING = 0.1")
    assert (proposal.hypothesis, proposal.category, proposal.predicted) == ("less smoothing", "regularisation", -0.01)
    kinds = [entry["kind"] for entry in proposal.trace]
    assert kinds == ["prompt", "call", "thoughts", "reply", "tool", *["call", "reply", "tool"] * 2, "rationale"]
    assert proposal.trace[7]["name"] == "check" and proposal.trace[7]["result"].startswith("ok")
    assert [message["role"] for message in third["messages"]] == ["system", "user", *["assistant", "tool"] * 2]
    assert third["messages"][:2] == first["messages"], (
        "what was sent before begins the next request: the cache reads it"
    )
    called, answered = third["messages"][2:4]
    assert called["tool_calls"][0]["id"] == answered["tool_call_id"] and "reasoning_content" not in called
    last = calls[-1]
    assert last.cache_read_tokens == usage["prompt_tokens_details"]["cached_tokens"] > 0
    assert last.input_tokens == usage["prompt_tokens"] - last.cache_read_tokens
    assert last.output_tokens == usage["completion_tokens"]


def test_request_has_functions_a_limit_and_the_brief_in_its_order(brief: Brief) -> None:
    with ChatServer([GOOD]) as server:
        agent(server, max_tokens=2000).propose(brief)
        body, path = server.requests[0].body, server.requests[0].path
    assert path == "/v1/chat/completions" and body["model"] == MODEL
    assert body["max_tokens"] == 2000 and "max_completion_tokens" not in body, "older servers know the old name only"
    assert body["stream"] is True and body["stream_options"] == {"include_usage": True}
    assert "reasoning_effort" not in body
    functions = {each["function"]["name"]: each["function"] for each in body["tools"]}
    assert {each["type"] for each in body["tools"]} == {"function"} and {EDITOR, "check", "propose"} <= set(functions)
    assert functions["show"]["parameters"] == {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
    }
    system, prompt = (message["content"] for message in body["messages"])
    assert "The contract of train.py" in system
    assert prompt == "\n\n".join([*brief.stable, brief.changing()])


def test_requests_and_the_server_of_the_test_follow_the_types_of_the_sdk(brief: Brief) -> None:
    with ChatServer([Reply([thinking("Hm."), edit(), tool("check")]), GOOD]) as server:
        agent(server, effort="low").propose(brief)
        for request in server.requests:
            read = TypeAdapter(CompletionCreateParamsStreaming).validate_python(request.body)
            messages = list(read["messages"])
            assert len(messages) == len(request.body["messages"]) and list(read["tools"])
            assert all(list(message["tool_calls"]) for message in messages if "tool_calls" in message)
        frames = list(server.frames(GOOD, server.requests[0]))
    for frame in frames[:-1]:
        ChatCompletionChunk.model_validate_json(frame.removeprefix("data: "))


def test_effort_is_sent_where_it_is_set(brief: Brief) -> None:
    with ChatServer([GOOD]) as server:
        agent(server, effort="high").propose(brief)
        assert server.requests[0].body["reasoning_effort"] == "high"


@pytest.mark.parametrize("dialect", ["same index", "no index", "no ids", "no ids, no index", "reasoning", "no done"])
def test_what_servers_do_differently(brief: Brief, dialect: str) -> None:
    proposal = proposal_of([GOOD], brief, dialect)
    assert "SMOOTHING = 0.1" in proposal.text
    assert [entry["text"] for entry in proposal.trace if entry["kind"] == "thoughts"] == ["Hm."]


def test_text_mode_has_no_tools_and_one_is_told_what_is_wrong(brief: Brief) -> None:
    wrong = "Hypothesis: x\n<<<<<<< SEARCH\nnope\n=======\ny\n>>>>>>> REPLACE"
    whole = brief.source.replace("BATCH = 8", "BATCH = 16")
    right = f"<think>or not</think>**Hypothesis:** more\nCategory: optimizer\n```python\n{whole}```"
    with ChatServer([Reply([text(wrong)]), Reply([text(right)])]) as server:
        proposal = agent(server, edit_format="text").propose(brief)
        first, second = (request.body for request in server.requests)
    assert "tools" not in first and "does not occur" in second["messages"][-1]["content"]
    assert (proposal.text, proposal.category, proposal.cost_usd) == (whole, "optimiser", None)


def test_a_second_model_writes_the_code(brief: Brief) -> None:
    def plan(request: Request) -> Step:
        if request.body["model"] == MODEL:
            return Reply([propose(idea="set SMOOTHING to 0.1")])
        assert "set SMOOTHING to 0.1" in request.body["messages"][-1]["content"]
        return Reply([edit(), tool("done")])

    assert "SMOOTHING = 0.1" in proposal_of(plan, brief, code_model="coder").text


# --- what models get wrong


@pytest.mark.parametrize("raw", ['{"command": "view", nonsense', '"a text"', "[1]", "[" * 5000])
def test_arguments_that_are_no_object_get_an_answer_and_are_not_repeated(brief: Brief, raw: str) -> None:
    gc.collect()  # what is freed at the limit of the recursion cannot warn
    with ChatServer([Reply([edit()], raw_input=raw), GOOD]) as server:
        agent(server).propose(brief)
        called, answered = server.requests[1].body["messages"][-2:]
    assert answered["content"] == "Error: the input has to be a JSON object"
    assert called["tool_calls"][0]["function"]["arguments"] == "{}", "some servers parse what they get back"


def test_a_call_that_was_cut_off_is_not_carried_out(brief: Brief) -> None:
    with ChatServer([Reply([edit(), propose()], "max_tokens"), Reply([propose()])]) as server:
        proposal = agent(server).propose(brief)
        results = server.requests[1].results()
    assert not results[0].startswith("Error") and "cut off" in results[1]
    assert "SMOOTHING = 0.1" in proposal.text


def test_an_empty_reply_and_a_question_are_one_turn(brief: Brief) -> None:
    with ChatServer([Reply([]), GOOD]) as server:
        agent(server).propose(brief)
        assert [message["role"] for message in server.requests[1].body["messages"]] == ["system", "user"]
        assert "No proposal yet" in server.requests[1].body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (Reply([text("x")], "refusal"), "refused .content filter"),
        (Reply([refusal("I cannot"), refusal(" do that")]), "refused .I cannot do that"),
        (Reply([thinking("...")], "max_tokens"), "ended with max_tokens"),
        (Reply([text("I am done")]), 'it said "I am done"'),
    ],
)
def test_what_is_no_proposal_says_why(brief: Brief, reply: Reply, line: str) -> None:
    with pytest.raises(BadProposal, match=line):
        proposal_of([reply], brief)


def reason(reply: Reply, source: str, **config: Any) -> str:
    with ChatServer([Reply([text("ready")]), reply]) as server:
        found = rehearse(OpenAI(Config(base_url=server.url, model="m", **config), Services()), bare_brief(source))
    return str(found.reason)


def test_a_prompt_that_was_cut_and_tool_calls_in_the_text_are_said(bigram: str) -> None:
    long = bigram + "# a line of a long comment\n" * 2000
    cut = Reply([text("How can I help?")], usage={"prompt_tokens": 2048, "completion_tokens": 9})
    assert "counted 2048 tokens of a prompt of about" in reason(cut, long)
    assert "edit_format: text" in reason(Reply([text('<tool_call>{"name": "check"}</tool_call>')]), bigram)


# --- parameters and features that a server refuses

PARAMETERS = {
    "max_tokens": "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens'",
    "reasoning_effort": "Unrecognized request argument supplied: reasoning_effort",
    "stream_options": '{"type": "extra_forbidden", "loc": ["body", "stream_options"]}',
}


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("status", [400, 422])
def test_a_parameter_that_is_refused_is_left_out_from_then_on(brief: Brief, name: str, status: int) -> None:
    def plan(request: Request) -> Step:
        return Status(status, "invalid_request_error", PARAMETERS[name]) if name in request.body else GOOD

    with ChatServer(plan) as server:
        researcher = agent(server, effort="low")
        researcher.propose(brief)
        researcher.propose(brief)
        first, *_, last = (request.body.keys() for request in server.requests)
        assert len(server.requests) == 3
    assert first - last == {name}
    assert last - first == ({"max_completion_tokens"} if name == "max_tokens" else set())


def test_thoughts_are_sent_back_only_to_a_server_that_misses_them(brief: Brief) -> None:
    words = "Missing reasoning_content field in the assistant message"

    def plan(request: Request) -> Step:
        said = [message for message in request.body["messages"] if message["role"] == "assistant"]
        if not said:
            return Reply([thinking("Hm."), edit()])
        if any("reasoning_content" not in message for message in said):
            return Status(400, "invalid_request_error", words)
        assert said[0]["reasoning_content"] == "Hm."
        return Reply([propose()])

    with ChatServer(plan) as server:
        researcher = agent(server)
        for _ in range(2):
            researcher.propose(brief)
        assert len(server.requests) == 5, "refused once, known from then on"


def test_a_reply_that_may_not_be_streamed_comes_as_a_whole(brief: Brief) -> None:
    words = "Your organization must be verified to stream this model."
    whole = {"choices": [{"finish_reason": "stop", "message": {"content": "Hypothesis: x"}}]}

    def plan(request: Request) -> Step:
        if request.body["stream"]:
            return Status(400, "invalid_request_error", words)
        return Status(200, body=json.dumps(whole), headers={"content-type": "application/json"})

    with ChatServer(plan) as server:
        agent(server).check()
        assert [request.body["stream"] for request in server.requests] == [True, False]
        assert "stream_options" not in server.requests[-1].body


def test_a_refusal_without_a_name_leaves_out_all_that_is_optional_once(brief: Brief) -> None:
    with ChatServer([Status(400, "invalid_request_error", "prompt is too long")]) as server:
        researcher = agent(server, effort="low")
        for _ in range(2):
            with pytest.raises(BadProposal, match="prompt is too long"):
                researcher.propose(brief)
        assert ["stream_options" in request.body for request in server.requests] == [True, False, True, False]
        assert all("max_tokens" in request.body for request in server.requests)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "registry.ollama.ai/library/gemma3 does not support tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (404, "No endpoints found that support tool use."),
        (500, "tools param requires --jinja flag"),
    ],
)
def test_a_server_without_tool_calls_is_known_before_the_night(status: int, words: str) -> None:
    line = r"no tool calls.*edit_format: text"
    with ChatServer([Status(status, "api_error", words)]) as server, pytest.raises(Unusable, match=line):
        agent(server).check()
    with ChatServer(lambda request: Status(status, "x", words) if "tools" in request.body else GOOD) as server:
        agent(server, edit_format="text").check()


def test_a_model_that_thinks_until_its_limit_is_ready() -> None:
    words = "Could not finish the message because max_tokens or model output limit was reached."
    with ChatServer([Status(400, "invalid_request_error", words)]) as server:
        agent(server).check()


# --- chunks


def test_chunks_of_any_form_are_read() -> None:
    for chunk in (None, [], "x", {"choices": None}, {"choices": [None, {"delta": None}, {"delta": {"content": 3}}]}):
        assembly = Assembly()
        assembly.add(chunk)
        assembly.add(
            {"choices": [{"delta": {"tool_calls": [None, {"function": {"name": "a", "arguments": {"n": 1}}}]}}]}
        )
        assert [(call.name, call.input) for call in assembly.reply().calls] == [("a", {"n": 1})]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"prompt_tokens": 100, "completion_tokens": 5}, (100, 0, 0, 5)),
        ({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 60}, (40, 60, 0, 5)),
        (
            {"prompt_tokens": 100, "prompt_tokens_details": {"cached_tokens": 90, "cache_write_tokens": 40}},
            (0, 90, 10, 0),
        ),
        ({"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 175}, (100, 0, 0, 75)),
        ({"prompt_tokens": 100, "completion_tokens": -1, "prompt_tokens_details": None}, (100, 0, 0, 0)),
        ({"prompt_tokens": "many"}, None),
        (None, None),
    ],
)
def test_usage_in_any_form(counts: Any, expected: Any) -> None:
    usage = read_usage(counts)
    found = None if usage is None else (usage.input, usage.cache_read, usage.cache_write_5m, usage.output)
    assert found == expected


# --- the simulated researcher


@pytest.mark.slow
def test_many_proposals_from_the_simulated_researcher(brief: Brief) -> None:
    texts: list[str] = []

    class Library(BriefLibrary):
        def find_duplicate(self, text: str) -> str | None:
            return "known" if text in texts else super().find_duplicate(text)

    with ChatServer(Faulty(Researcher(done_every=5), 0.3)) as server:
        researcher = agent(server, library=Library(brief))
        while len(texts) < 20:
            try:
                texts.append(researcher.propose(brief).text)
            except BadProposal as bad:
                assert "I am done" in str(bad)
    assert len(set(texts)) == 20 and brief.source not in texts
    assert json.dumps(server.requests[-1].body).count("Lower val_bpb") == 1
