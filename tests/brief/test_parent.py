"""Briefs on another version than the incumbent, and what is recorded of a proposal that answers one."""

import pytest

from autoresearch.agents.base import Proposal
from autoresearch.agents.lookup import BriefLibrary
from autoresearch.brief.brief import Brief, Parent
from autoresearch.brief.history import PastExperiment
from autoresearch.session.describe import proposal_columns

BEST, OLD, NEAR = "BEST = 1\n", "OLD = 1\n", "NEAR = 1\n"


def past(n: int, verdict: str, parent: int | None) -> PastExperiment:
    return PastExperiment(n, verdict, "a reason", "claude", "schedule", f"idea {n}", parent=parent)


def brief(parent: int | None, source: str = NEAR) -> Brief:
    """Return a brief after a base, a keep that is the incumbent, and a discard on each of the two."""
    history = [past(0, "keep", None), past(1, "discard", 0), past(2, "keep", 0), past(3, "discard", 2)]
    chosen = None if parent is None else Parent(parent, BEST)
    return Brief(4, 0, "program", source, 2, 2.0, 0.002, history, parent=chosen)


def test_it_shows_that_version_and_says_what_the_result_has_to_beat() -> None:
    text = brief(3).render()
    assert "# train.py, experiment 3\n" in text and NEAR in text and ", the incumbent\n" not in text
    assert "This time change experiment 3, which is shown here, and not the incumbent" in text
    assert "This time" not in brief(None, BEST).render() and "# train.py, the incumbent\n" in brief(None, BEST).render()


def test_an_agent_without_a_session_finds_the_text_under_its_own_number() -> None:
    library = BriefLibrary(brief(3))
    assert library.text(3) == NEAR and library.text(2) is None
    assert library.find_duplicate(NEAR) == "the same program as experiment 3, seeds aside"


@pytest.mark.parametrize(
    ("parent", "start_from", "expected"),
    [
        (3, None, {"parent": 3, "mode": "archive", "line": 3}),
        (1, None, {"parent": 1, "mode": "archive branch", "line": 1}),
        (0, None, {"parent": 0, "mode": "archive branch", "line": None}),
        (3, 2, {"parent": 2, "mode": None, "line": None}),
        (3, 1, {"parent": 1, "mode": "archive branch", "line": 1}),
        (None, None, {"parent": 2, "mode": None, "line": None}),
    ],
    ids=["on the incumbent", "on the base", "the base", "back to the incumbent", "another one", "without a parent"],
)
def test_a_proposal_is_recorded_with_its_parent(
    parent: int | None, start_from: int | None, expected: dict[str, object]
) -> None:
    columns = proposal_columns(Proposal("NEW = 1\n", "an idea", start_from=start_from), brief(parent))
    assert {name: columns[name] for name in expected} == expected
