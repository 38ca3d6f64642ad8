"""What `doctor` and `brief` say where a session will have several researchers."""

from pathlib import Path

import pytest

from autoresearch import config
from autoresearch.doctor import project_checks
from autoresearch.session.preview import preview

ARMS = "arms: [sweep, {name: bold, agent: claude, program: bold.md}]\n"


@pytest.fixture
def two(repository: Path) -> Path:
    (repository / "autoresearch.yaml").write_text(ARMS)
    (repository / "bold.md").write_text("Be bold.\n")
    return repository


def test_each_arm_and_its_cost_is_named(two: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    check = project_checks.check_agent(config.load(two, {}))
    assert check.level == "ok" and check.text.startswith(
        "`run` asks sweep = sweep (numeric search, free); bold = claude"
    )
    assert "no key is set" in check.text and check.text.endswith(", with bold.md")


@pytest.mark.parametrize(
    ("agent", "why"),
    [("claude,openai", "no arm can work: claude: "), ("sweep,scripted:gone", "there is no folder gone")],
)
def test_arms_that_cannot_begin_block_a_run(
    agent: str, why: str, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    check = project_checks.check_agent(config.load(repository, {"agent": agent}))
    assert check.level == "blocker" and why in f"{check.text}: {check.remedy}"


def test_every_arm_is_rehearsed(repository: Path, bigram: str, tmp_path: Path) -> None:
    folder = tmp_path / "edits"
    folder.mkdir()
    (folder / "01-sharper.py").write_text(bigram.replace("SHARPNESS = 1.0", "SHARPNESS = 1.1"))
    settings = config.load(repository, {"agent": f"sweep,scripted:{folder}"})
    first, second = project_checks.check_rehearsals(repository, settings, "cpu")
    assert (first.level, second.level) == ("ok", "ok")
    assert first.text.startswith("sweep: an edit") and second.text.endswith(": sharper")


def test_the_brief_is_that_of_the_first_arm_that_reads_one(two: Path) -> None:
    found = preview(two, {})
    assert (found.agent, found.brief.program) == ("claude", "Be bold.\n")
    assert "each arm has a brief of its own: this is the one of bold" in found.missing
