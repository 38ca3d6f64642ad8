"""Sessions whose agent reads a program.md that is not there: nobody may pay for a night without it unawares."""

from pathlib import Path

import pytest
from support.sessions import context_of

from autoresearch.errors import UsageError
from autoresearch.ledger import Ledger
from autoresearch.session.opening import open_session, open_session_project
from autoresearch.session.researchers import Researchers
from autoresearch.session.stopping import Limits
from autoresearch.setup.project import open_project
from autoresearch.workspace.workspace import Workspace


@pytest.fixture
def repository(repository: Path, settings_of: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in settings_of.items():
        if name.startswith("AUTORESEARCH_"):
            monkeypatch.setenv(name, value)
    monkeypatch.chdir(repository)
    return repository


def warnings_of(root: Path, **flags: object) -> list[str]:
    """Create the researchers of a session; return the warnings that it begins with."""
    project = open_project(flags, root)
    with Ledger.open(project.ledger) as store:
        context = context_of(store, open_session(project, store, Workspace(root)), Workspace(root))
        Researchers(context, project, Limits(), None).create()
        found = [event.text for event in store.events(context.id, kind="warning")]
        store.update_session(context.id, state="ended", stop_reason="interrupted")
        return found


def test_an_agent_without_instructions_is_said_once(repository: Path) -> None:
    assert warnings_of(repository, agent="command:cat") == []
    (repository / "program.md").write_text(" \n")
    [line] = warnings_of(repository, agent="command:cat")
    assert line == "program.md is missing or empty: write into it what the agent should try"


def test_who_reads_no_instructions_is_not_warned_of(repository: Path) -> None:
    (repository / "program.md").unlink()
    assert warnings_of(repository, agent="sweep") == []
    assert warnings_of(repository, agent="command:cat", program="none") == []


def test_each_arm_that_reads_them_is_named(repository: Path) -> None:
    (repository / "program.md").unlink()
    assert [line.partition(":")[0] for line in warnings_of(repository, agent="sweep,command:cat")] == ["command"]


def test_a_setting_that_names_no_file_is_refused_before_anybody_is_asked(repository: Path) -> None:
    asked = list[str]()
    (repository / "autoresearch.yaml").write_text("program: programm.md\n")
    with pytest.raises(UsageError, match=r"there is no file programm\.md"):
        open_session_project({}, settle_agent=lambda *_: asked.append("asked") or {"agent": "sweep"})
    assert asked == []
