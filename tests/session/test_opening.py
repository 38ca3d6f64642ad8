"""Which session a run goes on with: the same base on the same machine, or another one."""

from pathlib import Path

import pytest
from support.repositories import git

from autoresearch.errors import UserError
from autoresearch.ledger import Ledger
from autoresearch.session.opening import open_session
from autoresearch.setup import project
from autoresearch.workspace.workspace import Workspace


@pytest.fixture
def repository(repository: Path, settings_of: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in settings_of.items():
        if name.startswith("AUTORESEARCH_"):
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("AUTORESEARCH_TAG")
    return repository


def opened(root: Path, **flags: str) -> str:
    """The tag of the session that a run would be, as if it had been interrupted at once."""
    place = project.open_project(flags, root)
    with Ledger.open(place.ledger) as store:
        row = open_session(place, store, Workspace(root))
        store.update_session(row.id, state="ended", stop_reason="interrupted")
    return row.tag


def test_a_changed_base_is_a_new_session(repository: Path) -> None:
    first = opened(repository)
    assert opened(repository) == first
    (repository / "train.py").write_text((repository / "train.py").read_text().replace("BATCH = 8", "BATCH = 16"))
    assert opened(repository) == first, "only what is committed counts"
    git(repository, "commit", "-qam", "another plan")
    second = opened(repository)
    assert second != first and opened(repository) == second


def test_scores_that_cannot_be_compared_are_no_session(repository: Path) -> None:
    tag = opened(repository)
    with pytest.raises(UserError, match=r"started with another budget: .* choose a new --tag"):
        opened(repository, budget="30steps")
    with pytest.raises(UserError, match="started with another eval_rows"):
        opened(repository, tag=tag, eval_rows="32")
    with Ledger.open(repository / "runs/ledger.db") as store:
        session = store.session(tag)
        assert session is not None and {"gpu", "driver", "torch", "data", "evaluator", "cpu"} <= session.identity.keys()
        store.update_session(session.id, identity=session.identity | {"driver": "570.00", "torch": "2.0"})
    with pytest.raises(UserError, match="another driver, torch"):
        opened(repository)
