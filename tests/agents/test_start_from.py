"""Versions that a model starts from, and the opening that it says it took."""

from dataclasses import replace
from pathlib import Path

import pytest

from autoresearch.agents import rationale
from autoresearch.agents.command import workdir
from autoresearch.agents.llm.tools import EDITOR, EditSession
from autoresearch.agents.lookup import BriefLibrary
from autoresearch.agents.rationale import Rationale
from autoresearch.brief.brief import Brief
from autoresearch.brief.openings import Opening

LOAD = "def load(state, config, device):\n    return None\n"
TRAIN = f"def train(trial):\n    pass\n\n\n{LOAD}\n\nRATE = 1.0\nWIDTH = 8\n"
FASTER = {"command": "str_replace", "path": "train.py", "old_str": "RATE = 1.0", "new_str": "RATE = 2.0"}
WIDER = TRAIN.replace("WIDTH = 8", "WIDTH = 16")
SAID = {"hypothesis": "faster and wider", "category": "optimiser", "predicted_delta": -0.01, "opening": "refine 3"}


@pytest.fixture
def brief() -> Brief:
    told = Brief(5, 0, "", TRAIN, 2, 2.0, 0.01, [])
    return replace(told, openings=[Opening("refine", "a near miss", 3, 3)], versions={3: WIDER})


Delivered = list[tuple[str, Rationale]]


@pytest.fixture
def delivered() -> Delivered:
    return []


def work(brief: Brief, delivered: Delivered, wanted: int = 1) -> EditSession:
    """Return a session that adds each text that it delivers, with its record."""

    def deliver(text: str, record: Rationale) -> None:
        delivered.append((text, record))

    return EditSession("propose", brief.source, BriefLibrary(brief), None, wanted, deliver)


def test_a_model_loads_another_version_and_changes_it(brief: Brief, delivered: Delivered) -> None:
    session = work(brief, delivered)
    answer, wrong = session.use("start_from", {"n": 3})
    assert not wrong and "experiment 3" in answer
    session.use(EDITOR, FASTER)
    assert session.use("propose", SAID) == ("proposed", False)
    [(text, record)] = delivered
    assert text == WIDER.replace("RATE = 1.0", "RATE = 2.0")
    proposal = record.proposal(text, None, [])
    assert (proposal.start_from, proposal.opening) == (3, "refine 3")


@pytest.mark.parametrize("n", [9, -1, "three", None, 10**30])
def test_a_version_that_is_not_there_is_an_answer_and_changes_nothing(
    brief: Brief, delivered: Delivered, n: object
) -> None:
    session = work(brief, delivered)
    answer, wrong = session.use("start_from", {"n": n})
    assert wrong and answer and session.text == TRAIN and session.start is None


def test_the_version_itself_may_be_proposed_where_it_was_never_measured(brief: Brief, delivered: Delivered) -> None:
    session = work(brief, delivered)
    session.use("start_from", {"n": 3})
    assert session.use("check", {})[0].startswith("ok")
    session.use("start_from", {"n": 2})
    assert session.use("check", {}) == ("train.py is unchanged", True)


REPLY = """\
Hypothesis: faster and wider
Opening: **refine 3**
Start from: {start}

<<<<<<< SEARCH
RATE = 1.0
=======
RATE = 2.0
>>>>>>> REPLACE
"""


@pytest.mark.parametrize(("start", "base"), [("experiment 3", WIDER), ("the incumbent", TRAIN), ("2", TRAIN)])
def test_a_reply_in_plain_text_names_the_version_that_it_changes(
    brief: Brief, delivered: Delivered, start: str, base: str
) -> None:
    session = work(brief, delivered)
    session.read(REPLY.format(start=start))
    [(text, record)] = delivered
    assert text == base.replace("RATE = 1.0", "RATE = 2.0") and record.opening == "refine 3"


def test_each_of_several_proposals_has_its_own_version(brief: Brief, delivered: Delivered) -> None:
    session = work(brief, delivered, wanted=2)
    session.use("start_from", {"n": 3})
    session.use(EDITOR, FASTER)
    assert "1 of up to 2" in session.use("propose", SAID)[0] and session.text == TRAIN
    session.use(EDITOR, FASTER)
    assert session.use("propose", SAID) == ("proposed", False)
    assert [(text, record.start_from) for text, record in delivered] == [
        (WIDER.replace("RATE = 1.0", "RATE = 2.0"), 3),
        (TRAIN.replace("RATE = 1.0", "RATE = 2.0"), None),
    ]


def test_a_second_reply_begins_anew(brief: Brief, delivered: Delivered) -> None:
    session = work(brief, delivered)
    with pytest.raises(ValueError, match="no version 7"):
        session.read(REPLY.format(start="7"))
    with pytest.raises(ValueError, match="does not occur"):
        session.read(REPLY.format(start="3").replace("RATE = 1.0", "no such line"))
    session.read(REPLY.format(start="none"))
    assert "WIDTH = 8" in session.text and session.start is None


def test_edits_by_tool_survive_a_reply_in_plain_text(brief: Brief, delivered: Delivered) -> None:
    session = work(brief, delivered)
    session.use(EDITOR, FASTER)
    with pytest.raises(ValueError, match="no change found"):
        session.read("Hypothesis: a faster one\n\nI have edited it with the tool.")
    assert "RATE = 2.0" in session.text and session.use("propose", SAID) == ("proposed", False)


def test_the_first_of_two_models_chooses_the_version(brief: Brief) -> None:
    session = EditSession("idea", brief.source, BriefLibrary(brief))
    session.use("start_from", {"n": 3})
    assert session.use("propose", {**SAID, "idea": "double the rate"}) == ("proposed", False)
    assert session.before == WIDER and session.record is not None and session.record.start_from == 3


def test_a_command_gets_the_versions_as_files_and_says_which_it_took(brief: Brief, tmp_path: Path) -> None:
    files = workdir.initial_files(brief)
    assert files["version-3.py"] == WIDER.encode() and b"- `refine 3`: a near miss" in files["BRIEF.md"]
    assert b"`start_from`" in files["BRIEF.md"]
    read = rationale.read({**SAID, "start_from": 3.0})
    assert (read.start_from, read.opening) == (3, "refine 3")
    assert rationale.read({**SAID, "opening": ["x"], "start_from": True}).start_from is None
