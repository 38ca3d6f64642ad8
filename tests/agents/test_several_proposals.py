"""Several independent proposals from one conversation, with tools and in plain text."""

from dataclasses import replace
from typing import Any

import pytest
from support.messages_server import Block, MessagesServer, Reply, Request, Status, text, tool

from autoresearch.agents.base import BadProposal, Proposal
from autoresearch.agents.claude.claude_model import Claude
from autoresearch.agents.services import Services
from autoresearch.brief.brief import Brief
from autoresearch.brief.history import PastExperiment
from autoresearch.config import Config

EDITOR = "str_replace_based_edit_tool"


@pytest.fixture
def brief(bigram: str) -> Brief:
    past = PastExperiment(1, "discard", "no gain", "claude", "optimiser", "SHARPNESS to 2", {}, 2.5, 0.1)
    return Brief(2, 7, "Lower val_bpb.\n", bigram, 0, 2.4, 0.01, [past], proposals=3)


def change(smoothing: float) -> list[Block]:
    """Return the tool calls of one proposal."""
    said = {"category": "regularisation", "predicted_delta": -0.01, "confidence": 0.7, "source": "own knowledge"}
    new = f"SMOOTHING = {smoothing}"
    return [
        tool(EDITOR, command="str_replace", path="train.py", old_str="SMOOTHING = 0.5", new_str=new),
        tool("propose", hypothesis=f"smoothing {smoothing}", **said),
    ]


def block(smoothing: float) -> str:
    return f"<<<<<<< SEARCH\nSMOOTHING = 0.5\n=======\nSMOOTHING = {smoothing}\n>>>>>>> REPLACE\n"


def claude(server: MessagesServer, **more: Any) -> Claude:
    services = Services(sleep=lambda seconds: None, max_wait_s=0.0)
    return Claude(Config(base_url=server.url, **{"model": "claude-opus-5-5", **more}), services)


def ask(plan: Any, brief: Brief, **more: Any) -> list[Proposal]:
    made: list[Proposal] = []
    with MessagesServer(plan) as server:
        claude(server, **more).converse(brief, made.append)
    return made


def texts(proposals: list[Proposal]) -> list[str]:
    return [each.text for each in proposals]


def expected(brief: Brief, *smoothings: float) -> list[str]:
    return [brief.source.replace("SMOOTHING = 0.5", f"SMOOTHING = {each}") for each in smoothings]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key-0123456789")


def test_each_proposal_changes_the_same_version(brief: Brief) -> None:
    several = ask([Reply(change(0.1)), Reply(change(0.2) + change(0.3))], brief)
    assert texts(several) == expected(brief, 0.1, 0.2, 0.3)
    assert [each.hypothesis for each in several] == ["smoothing 0.1", "smoothing 0.2", "smoothing 0.3"]
    assert [[entry["kind"] for entry in each.trace] for each in several] == [["rationale"]] * 3


def test_the_whole_conversation_is_recorded_with_its_cost(brief: Brief) -> None:
    with MessagesServer([Reply(change(0.1)), Reply(change(0.2) + change(0.3))]) as server:
        conversed = claude(server).converse(brief, lambda proposal: None)
        calls = [entry["cost_usd"] for entry in conversed.trace if entry["kind"] == "call"]
        assert len(calls) == 2 and conversed.cost_usd == pytest.approx(sum(calls))
    with MessagesServer([Reply(change(0.1))]) as server:
        one = claude(server).propose(brief)
        assert one.cost_usd is not None and one.trace[0]["kind"] == "prompt" and one.trace[-1]["kind"] == "rationale"
        assert "Up to 3 proposals" not in str(server.requests[0].body)


def test_a_proposal_is_delivered_before_the_next_one_is_asked_for(brief: Brief) -> None:
    known: list[int] = []
    made: list[Proposal] = []

    def plan(request: Request) -> Reply:
        known.append(len(made))
        return Reply(change(0.1 * (1 + len(made))))

    with MessagesServer(plan) as server:
        claude(server).converse(brief, made.append)
    assert known == [0, 1, 2] and len(made) == 3


def test_a_refusal_is_an_answer_within_the_conversation(brief: Brief) -> None:
    asked: list[str] = []

    def deliver(proposal: Proposal) -> str | None:
        asked.append(proposal.hypothesis)
        return "invalid: it is too long" if len(asked) == 1 else None

    def plan(request: Request) -> Reply:
        if request.turn == 1:
            assert request.results()[-1] == "invalid: it is too long"
            view = tool(
                EDITOR, command="str_replace", path="train.py", old_str="SMOOTHING = 0.1", new_str="SMOOTHING = 9"
            )
            return Reply([view, change(9)[1]])
        return Reply([text("That is all.")]) if request.turn else Reply(change(0.1))

    with MessagesServer(plan) as server:
        claude(server).converse(brief, deliver)
    assert asked == ["smoothing 0.1", "smoothing 9"]


def test_a_refused_part_of_a_plain_text_leaves_the_others(brief: Brief) -> None:
    made: list[Proposal] = []

    def deliver(proposal: Proposal) -> str | None:
        if proposal.hypothesis == "to 0.1":
            return "duplicate: as experiment 1"
        made.append(proposal)
        return None

    said = "".join(f"Proposal {k}\nHypothesis: to {x}\n{block(x)}\n" for k, x in enumerate((0.1, 0.2), 1))
    with MessagesServer([Reply([text(said)])]) as server:
        claude(server, edit_format="text", model="qwen3").converse(brief, deliver)
    assert texts(made) == expected(brief, 0.2)


def test_a_model_that_has_no_more_ideas_ends_with_words(brief: Brief) -> None:
    def plan(request: Request) -> Reply:
        if request.turn:
            assert "1 of up to 3" in request.results()[-1]
            return Reply([text("That is all.")])
        return Reply(change(0.1))

    assert texts(ask(plan, brief)) == expected(brief, 0.1)


def test_the_same_version_is_not_proposed_twice(brief: Brief) -> None:
    def plan(request: Request) -> Reply:
        if request.turn:
            assert "proposed this version already" in request.results()[-1]
            return Reply([text("That is all.")])
        return Reply(change(0.1) + change(0.1))

    assert texts(ask(plan, brief)) == expected(brief, 0.1)


def test_what_was_proposed_before_the_server_failed_is_good(brief: Brief) -> None:
    for status in (Status(529, "overloaded_error"), Status(401, "authentication_error")):
        assert texts(ask([Reply(change(0.1)), status], brief)) == expected(brief, 0.1)


def test_endless_reading_after_a_proposal_ends_with_that_one(brief: Brief) -> None:
    assert texts(ask([Reply(change(0.1)), Reply([tool("history")])], brief)) == expected(brief, 0.1)


def test_plain_text_holds_several_proposals(brief: Brief) -> None:
    changes = enumerate((0.1, 0.2, 0.3), 1)
    said = "".join(f"## Proposal {k}\n\nHypothesis: to {x}\n\n{block(x)}\n" for k, x in changes)
    first_unmarked = said.removeprefix("## Proposal 1\n")
    for reply in (said, f"Here are three proposals.\n\n{said}", first_unmarked):
        made = ask([Reply([text(reply)])], brief, edit_format="text", model="qwen3")
        assert texts(made) == expected(brief, 0.1, 0.2, 0.3) and made[1].hypothesis == "to 0.2"


@pytest.mark.parametrize(
    "heading", ["Proposal {k}: less smoothing", "## Proposal {k} — to less", "**Proposal {k}**: less", "Proposal #{k}."]
)
def test_headings_in_plain_text_may_have_a_title(brief: Brief, heading: str) -> None:
    parts = [f"{heading.format(k=k)}\n\nHypothesis: to {x}\n\n{block(x)}\n" for k, x in enumerate((0.1, 0.2), 1)]
    for wanted in (3, 1):
        asked = replace(brief, proposals=wanted)
        made = ask([Reply([text("".join(parts))])], asked, edit_format="text", model="qwen3")
        assert texts(made) == expected(brief, *(0.1, 0.2)[:wanted]) and made[0].hypothesis == "to 0.1"


def test_several_hypotheses_in_plain_text_are_not_one_proposal(brief: Brief) -> None:
    said = f"Hypothesis: to 0.1\n\n{block(0.1)}\nHypothesis: sharper\n\n{block(0.2).replace('0.5', '0.1')}"
    with pytest.raises(BadProposal, match="no proposal"):
        ask([Reply([text(said)])], brief, edit_format="text", model="qwen3")


def test_a_heading_within_the_code_ends_no_proposal(brief: Brief) -> None:
    code = brief.source.replace("SMOOTHING = 0.5", "# Proposal 2: as written\nSMOOTHING = 0.1")
    said = f"Hypothesis: to 0.1\n\n```python\n{code}```\n"
    made = ask([Reply([text(said)])], brief, edit_format="text", model="qwen3")
    assert len(made) == 1 and "# Proposal 2" in made[0].text


def test_one_of_several_in_plain_text_that_cannot_be_read_is_left_out(brief: Brief) -> None:
    wrong = "Proposal 1\nHypothesis: x\n<<<<<<< SEARCH\nnope\n=======\ny\n>>>>>>> REPLACE\n"
    right = f"Proposal 2\nHypothesis: to 0.2\n{block(0.2)}"
    assert texts(ask([Reply([text(wrong + right)])], brief, edit_format="text", model="qwen3")) == expected(brief, 0.2)
    with pytest.raises(BadProposal):
        ask([Reply([text(wrong)])], brief, edit_format="text", model="qwen3")


def test_the_brief_says_how_many_are_wanted(brief: Brief) -> None:
    assert "Up to 3 proposals" in brief.changing()
    assert "proposals are wanted" not in replace(brief, proposals=1).render()
