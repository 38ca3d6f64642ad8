"""Proposals that are refused before they cost a second of training."""

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.sessions import context_of

from autoresearch.agents import base
from autoresearch.brief.brief import Brief
from autoresearch.brief.openings import Opening
from autoresearch.ledger import Ledger
from autoresearch.session import describe, proposer
from autoresearch.session.arms import Arm, Arms


@pytest.fixture
def brief() -> Brief:
    return Brief(1, 0, "", "x = 1\n", 0, 2.0, 0.01, [])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Ledger]:
    """A ledger whose session 1 has measured one program."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        row = ledger.create_session("t", "autoresearch/t", "sha", "lines", "default", {}, {}, 1)
        made = ledger.add_experiment(row.id, 0, **describe.text_columns(MEASURED, MEASURED))
        ledger.update_experiment(made.id, verdict="keep", state="settled")
        yield ledger


MEASURED = "RATE = 0.04\nBETA = 0.95\nSEED = 1\nx = RATE * BETA\n"


class Lines:
    """An agent that proposes one text after the other."""

    name, model, repairs = "lines", None, 5

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def check(self) -> None:
        pass

    def propose(self, brief: Brief) -> base.Proposal:
        return base.Proposal(self.texts.pop(0), "an idea")


def proposer_of(agent: Any, store: Ledger, stand_in: Any = None) -> proposer.Proposer:
    session = store.session("t")
    assert session is not None
    context = context_of(store, session)
    return proposer.Proposer(context, Arms(context, [Arm(agent)]), stand_in)


@pytest.mark.parametrize("text", ["x = (", "x = 1\n\0"])
def test_text_that_is_no_program_is_invalid(text: str, store: Ledger) -> None:
    refusal = proposer_of(Lines(), store).refusal(base.Proposal(text, "an idea"))
    assert refusal is not None and refusal.verdict == "invalid"
    assert "does not parse" in refusal.reason


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("SEED = 1", "SEED = 2  # lucky", "experiment 0, seeds aside"),
        ("0.04", "0.0403", "experiment 0, all constants within 1 %; "),
        ("0.04", "0.0405", None),
        ("BETA = 0.95", "BETA = 0.955", None),
        ("x = RATE", "x = 2 * RATE", None),
    ],
)
def test_duplicates_are_sent_back(old: str, new: str, why: str | None, store: Ledger) -> None:
    refusal = proposer_of(Lines(), store).refusal(base.Proposal(MEASURED.replace(old, new), "an idea"))
    assert (refusal is None) == (why is None)
    if refusal is not None and why is not None:
        assert refusal.verdict == "duplicate" and why.rstrip("; ") in refusal.reason


def test_a_duplicate_is_not_named_as_the_original(store: Ledger) -> None:
    again, near = MEASURED.replace("0.04", "0.05"), MEASURED.replace("0.04", "0.0501")
    store.add_experiment(1, 1, **describe.text_columns(again, MEASURED), verdict="duplicate")
    assert proposer_of(Lines(), store).refusal(base.Proposal(near, "an idea")) is None
    store.add_experiment(1, 2, **describe.text_columns(near, MEASURED), verdict="discard", val_bpb=2.0)
    refusal = proposer_of(Lines(), store).refusal(base.Proposal(again, "an idea"))
    assert refusal is not None and "experiment 2, all constants within 1 %" in refusal.reason


@pytest.mark.parametrize(
    ("columns", "outcome", "refused"),
    [
        ({"verdict": "discard", "reason": "superseded by experiment 4"}, None, False),
        ({"verdict": "discard", "reason": "superseded by experiment 4, with which it conflicts"}, None, False),
        ({"verdict": "discard", "reason": "it was not measured: the session ended"}, "infra", False),
        ({"verdict": "invalid", "reason": "too long"}, None, False),
        ({"verdict": "discard", "val_bpb": 2.0}, "ok", True),
        ({"verdict": "crash", "reason": "oom: out of memory"}, "oom", True),
        ({"verdict": "suspect", "reason": "found later"}, None, True),
        ({"state": "committed"}, None, True),  # it waits for its trials
    ],
)
def test_only_a_version_that_was_measured_is_a_duplicate(
    columns: dict[str, object], outcome: str | None, refused: bool, store: Ledger
) -> None:
    again = MEASURED.replace("0.04", "0.05")
    row = store.add_experiment(1, 1, **describe.text_columns(again, MEASURED), **columns)
    if outcome is not None:
        trial = store.start_trial(1, row.id, "screen", 1, "blob")
        store.end_trial(trial.id, outcome, 2.0 if outcome == "ok" else None, {})
    refusal = proposer_of(Lines(), store).refusal(base.Proposal(again, "an idea"))
    assert (refusal is not None) is refused
    if refusal is not None and columns.get("verdict") is None:
        assert "it waits for its trials" in refusal.reason


def test_text_that_nobody_can_store_is_broken_and_the_next_one_counts(brief: Brief, store: Ledger) -> None:
    obtained = proposer_of(Lines("x = '\ud800'", "x = 2\n"), store).obtain(brief)
    assert [event.kind for event in store.events(1)] == ["broken", "proposed"]
    assert obtained.proposal.text == "x = 2\n" and obtained.refusal is None
    assert [entry["kind"] for entry in obtained.trace] == ["sent back"]


def test_an_agent_hears_why_and_may_try_again_so_often(brief: Brief, store: Ledger) -> None:
    obtained = proposer_of(Lines("x = (", "x = [", "x = 3\n"), store).obtain(brief)
    assert obtained.refusal is None and len(brief.feedback) == 2
    agent = Lines(*["x = ("] * 9)
    obtained = proposer_of(agent, store).obtain(brief)
    assert obtained.refusal is not None and len(agent.texts) == 9 - 6


def test_a_broken_agent_without_a_stand_in_ends_the_session(brief: Brief, store: Ledger) -> None:
    with pytest.raises(base.Exhausted, match="10 broken proposals"):
        proposer_of(Lines(*["'\ud800'"] * 20), store).obtain(brief)


def test_a_stand_in_is_offered_no_openings(brief: Brief, store: Ledger) -> None:
    away = Lines()
    away.propose = _unavailable  # type: ignore[method-assign]
    told = replace(brief, openings=[Opening("refine", "go on", 4, 4)], versions={4: "x = 8\n"})
    obtained = proposer_of(away, store, stand_in=Lines("x = 5\n")).obtain(told)
    assert obtained.brief.openings == [] and obtained.brief.versions == {}
    assert describe.proposal_columns(obtained.proposal, obtained.brief)["mode"] is None


def test_a_clock_that_is_set_back_does_not_prolong_an_absence(
    brief: Brief, store: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    away, now, since_boot = Lines(), time.time, time.clock_gettime
    away.propose = _unavailable  # type: ignore[method-assign]
    made = proposer_of(away, store, stand_in=Lines("x = 5\n"))
    made.obtain(brief)
    assert made.is_agent_away
    monkeypatch.setattr("time.time", lambda: now() - 3600)
    assert made.is_agent_away
    monkeypatch.setattr("time.clock_gettime", lambda clock: since_boot(clock) + 61)
    assert not made.is_agent_away


def _unavailable(brief: Brief) -> base.Proposal:
    raise base.Unavailable("busy", time.time() + 60)


def test_the_user_hears_that_another_agent_takes_over_from_a_broken_one(brief: Brief, store: Ledger) -> None:
    class Broken(Lines):
        def propose(self, brief: Brief) -> base.Proposal:
            raise base.BadProposal("nothing to say")

    made = proposer_of(Broken(), store, stand_in=Lines("x = 5\n", "x = 6\n"))
    made.obtain(brief)
    events = [event for event in store.events(1) if event.kind == "absent"]
    words = "lines gave 6 broken proposals in a row (the last: nothing to say): lines proposes meanwhile"
    assert [event.text for event in events] == [words]
    made.obtain(brief)  # still away: nothing new to tell
    assert len([event for event in store.events(1) if event.kind == "absent"]) == 1


class Several(Lines):
    """An agent that proposes all of its texts in one conversation, as changes that repair something."""

    proposes = "remotely"

    def propose(self, brief: Brief) -> base.Proposal:
        return base.Proposal(self.texts.pop(0), "mend it", "bug")

    def converse(self, brief: Brief, deliver: base.Deliver) -> base.Conversed:
        self.refusals = [deliver(base.Proposal(text, "mend it", "bug")) for text in self.texts]
        return base.Conversed([{"kind": "reply"}], 0.3)


def test_proposals_of_a_conversation_are_recorded_and_some_may_be_refused_within_it(
    brief: Brief, store: Ledger
) -> None:
    agent, found = Several(MEASURED, "y = 1\n", MEASURED, MEASURED), list[proposer.CheckedProposal]()
    agent.repairs = 2
    made = proposer_of(agent, store).obtain(replace(brief, proposals=3), found.append)
    assert isinstance(made, base.Conversed) and made.trace == [{"kind": "reply"}]
    assert [reason and reason.split(":")[0] for reason in agent.refusals] == ["duplicate", None, "duplicate", None]
    assert [(each.proposal.text, each.refusal is None) for each in found] == [("y = 1\n", True), (MEASURED, False)]


def test_an_agent_that_makes_one_change_at_a_time_is_asked_for_one(brief: Brief, store: Ledger) -> None:
    found = list[proposer.CheckedProposal]()
    obtained = proposer_of(Lines("x = 2\n"), store).obtain(replace(brief, proposals=3), found.append)
    assert isinstance(obtained, proposer.CheckedProposal) and not found


def test_what_may_be_measured_is_compared_with_the_incumbent_and_noted(
    brief: Brief, store: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def note(proposal: base.Proposal, incumbent: int, tools: Any) -> base.Proposal:
        return replace(proposal, same_as=incumbent, trace=[*proposal.trace, {"kind": "same"}])

    monkeypatch.setattr(proposer, "note_same", note)
    found = list[proposer.CheckedProposal]()
    for text in ("y = 1\n", MEASURED):
        agent = Several(text)
        agent.repairs = 0
        checked = proposer_of(agent, store).obtain(brief)
        assert isinstance(checked, proposer.CheckedProposal)
        proposer_of(agent, store).obtain(replace(brief, proposals=2), found.append)
        agent.texts = [text]
        proposer_of(agent, store).obtain(replace(brief, proposals=2), found.append)
        found.append(checked)
    noted = [(each.proposal.same_as, [entry["kind"] for entry in each.trace].count("same")) for each in found]
    assert noted == [(0, 1), (0, 1), (None, 0), (None, 0)]


def test_a_comparison_that_fails_costs_nothing_but_itself(
    brief: Brief, store: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> base.Proposal:
        raise ZeroDivisionError

    monkeypatch.setattr(proposer, "note_same", fail)
    checked = proposer_of(Several("y = 1\n"), store).obtain(brief)
    assert checked.refusal is None and checked.trace[-1]["kind"] == "failed"
