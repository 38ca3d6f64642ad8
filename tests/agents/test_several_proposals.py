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


def ask(plan: Any, brief: Brief, **more: Any) -> Proposal:
    with MessagesServer(plan) as server:
        services = Services(sleep=lambda seconds: None, max_wait_s=0.0)
        return Claude(Config(base_url=server.url, **{"model": "claude-opus-5-5", **more}), services).propose(brief)


def texts(proposal: Proposal) -> list[str]:
    return [each.text for each in (proposal, *proposal.more)]


def expected(brief: Brief, *smoothings: float) -> list[str]:
    return [brief.source.replace("SMOOTHING = 0.5", f"SMOOTHING = {each}") for each in smoothings]


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test-key-0123456789")


def test_each_proposal_changes_the_same_version_and_bears_its_share_of_the_cost(brief: Brief) -> None:
    one = ask([Reply(change(0.1))], replace(brief, proposals=1))
    several = ask([Reply(change(0.1)), Reply(change(0.2) + change(0.3))], brief)
    assert texts(several) == expected(brief, 0.1, 0.2, 0.3)
    assert [each.hypothesis for each in several.more] == ["smoothing 0.2", "smoothing 0.3"]
    calls = [entry["cost_usd"] for entry in several.trace if entry["kind"] == "call"]
    costs = [each.cost_usd or 0.0 for each in (several, *several.more)]
    assert len(calls) == 2 and costs == pytest.approx([sum(calls) / 3] * 3)
    assert [entry["kind"] for entry in several.more[0].trace] == ["rationale"]
    assert not one.more and one.cost_usd is not None


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
        proposal = ask([Reply([text(reply)])], brief, edit_format="text", model="qwen3")
        assert texts(proposal) == expected(brief, 0.1, 0.2, 0.3) and proposal.more[0].hypothesis == "to 0.2"


def test_one_of_several_in_plain_text_that_cannot_be_read_is_left_out(brief: Brief) -> None:
    wrong = "Proposal 1\nHypothesis: x\n<<<<<<< SEARCH\nnope\n=======\ny\n>>>>>>> REPLACE\n"
    right = f"Proposal 2\nHypothesis: to 0.2\n{block(0.2)}"
    assert texts(ask([Reply([text(wrong + right)])], brief, edit_format="text", model="qwen3")) == expected(brief, 0.2)
    with pytest.raises(BadProposal):
        ask([Reply([text(wrong)])], brief, edit_format="text", model="qwen3")


def test_the_brief_says_how_many_are_wanted(brief: Brief) -> None:
    assert "Up to 3 proposals" in brief.changing()
    assert "proposals are wanted" not in replace(brief, proposals=1).render()
