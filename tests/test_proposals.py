"""What is sent back before it costs a second of training."""

from typing import Any

import pytest

from autoresearch import agents, proposals
from autoresearch.brief import Brief

BRIEF = Brief(1, 0, "", "x = 1\n", 0, 2.0, 0.01, [])


class Lines:
    """An agent that proposes one text after the other."""

    name, model, repairs = "lines", None, 5

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def check(self) -> None:
        pass

    def propose(self, brief: Brief) -> agents.Proposal:
        return agents.Proposal(self.texts.pop(0), "an idea")


def heard(kinds: list[str]) -> Any:
    return lambda kind, n, text, **data: kinds.append(kind)


@pytest.mark.parametrize("text", ["x = (", "x = 1\n\0"])
def test_text_that_is_no_program_is_invalid(text: str) -> None:
    refusal = proposals.refused(agents.Proposal(text, "an idea"), [])
    assert refusal is not None and refusal.verdict == "invalid"
    assert "does not parse" in refusal.reason


def test_text_that_nobody_can_store_is_broken_and_the_next_one_counts() -> None:
    kinds: list[str] = []
    obtained = proposals.Desk(Lines("x = '\ud800'", "x = 2\n"), None, heard(kinds)).obtain(BRIEF, [])
    assert kinds == ["broken", "proposed"]
    assert obtained.proposal.text == "x = 2\n" and obtained.refusal is None


def test_an_agent_hears_why_and_may_try_again_so_often() -> None:
    agent = Lines("x = (", "x = [", "x = 3\n")
    obtained = proposals.Desk(agent, None, heard([])).obtain(BRIEF, [])
    assert obtained.refusal is None and len(BRIEF.feedback) >= 2
    agent = Lines(*["x = ("] * 9)
    obtained = proposals.Desk(agent, None, heard([])).obtain(BRIEF, [])
    assert obtained.refusal is not None and len(agent.texts) == 9 - 6


def test_a_broken_agent_without_a_stand_in_ends_the_session() -> None:
    with pytest.raises(agents.Exhausted, match="10 broken proposals"):
        proposals.Desk(Lines(*["'\ud800'"] * 20), None, heard([])).obtain(BRIEF, [])
