"""Dry proposals, by real agents."""

from pathlib import Path

import pytest

from autoresearch.agents.base import Unusable
from autoresearch.agents.command import command_agent
from autoresearch.agents.registry import create
from autoresearch.agents.rehearsal import bare_brief, rehearse


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_agent, "NICE", 0)


def test_an_agent_that_can_edit(bigram: str) -> None:
    found = rehearse(create("command:sed -i 's/= 0.5 /= 0.3 /' train.py; grep -o rehears BRIEF.md"), bare_brief(bigram))
    assert found.require().text != bigram and found.lines == (1, 1) and found.reason is None
    assert str(found).startswith("an edit that applies (+1 -1 lines") and any(
        "rehears" in str(each) for each in found.trace
    )


def test_sweep_and_scripted_can_too(bigram: str, tmp_path: Path) -> None:
    assert rehearse(create("sweep"), bare_brief(bigram)).require().params
    (tmp_path / "01-x.py").write_text("x = 1\n")
    found = rehearse(create(f"scripted:{tmp_path}"), bare_brief(bigram))
    assert found.reason == "train.py has no function `train`" and found.proposal is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("true", "the command left train.py unchanged"),
        ("echo '# only a comment' >> train.py", "the same program as before"),
        ("echo 'def' > train.py", "does not parse"),
        ("echo 'Invalid API key'; exit 1", "log in again"),
    ],
)
def test_one_that_cannot_is_refused(bigram: str, line: str, reason: str) -> None:
    found = rehearse(create(f"command:{line}"), bare_brief(bigram))
    assert found.reason is not None and reason in found.reason and reason in str(found)
    with pytest.raises(Unusable, match="cannot produce an edit that applies") as refused:
        found.require()
    assert refused.value.exit_code == 3


def test_a_refusal_is_told_and_the_second_try_counts(bigram: str) -> None:
    spec = "command:if grep -q unchanged BRIEF.md; then sed -i 's/= 0.5 /= 0.3 /' train.py; fi"
    assert rehearse(create(spec), bare_brief(bigram)).proposal is not None
