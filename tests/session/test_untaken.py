"""Best versions that the user's train.py does not have, and what counts as taken over."""

from pathlib import Path

import pytest
from support.repositories import git

from autoresearch.ledger import Ledger, Session
from autoresearch.session.untaken import find_untaken, is_taken
from autoresearch.workspace.workspace import Workspace


def add_session(store: Ledger, root: Path, tag: str, *texts: str) -> Session:
    """Add a session whose keeps have these texts."""
    workspace = Workspace(root)
    row = store.create_session(tag, f"autoresearch/{tag}", workspace.head(), "sweep", "default", {}, {}, 0)
    sha = workspace.start(tag, row.base_sha)
    for n, text in enumerate(("", *texts)):
        if n:
            sha = workspace.keep(tag, n, workspace.commit(tag, n, text, sha, "change"), "kept")
        text = text or workspace.read(sha)
        store.add_experiment(row.id, n, text=text, sha=sha, verdict="keep", state="settled", settled=1.0, val_bpb=2.0)
    return row


@pytest.fixture
def better(bigram: str) -> str:
    return bigram.replace("SMOOTHING = 0.5 ", "SMOOTHING = 0.1 ")


def test_the_newest_best_version_that_nobody_took_over_is_named(repository: Path, bigram: str, better: str) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        workspace = Workspace(repository)
        add_session(store, repository, "nov25", bigram.replace("BATCH = 8", "BATCH = 4"))
        add_session(store, repository, "nov26", bigram, better)
        add_session(store, repository, "nov27")  # which kept nothing
        now = add_session(store, repository, "nov28")
        assert find_untaken(store, workspace, now) == "nov26"
        (repository / "train.py").write_text(better)
        assert find_untaken(store, workspace, now) is None, "written, and not committed"
        git(repository, "commit", "-qam", "better")
        (repository / "train.py").write_text(bigram + "# more\n")
        git(repository, "commit", "-qam", "more")
        assert find_untaken(store, workspace, now) is None, "it was taken over once"


def test_a_merged_branch_and_a_session_from_it_have_taken_it_over(repository: Path, better: str) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        workspace, old = Workspace(repository), add_session(store, repository, "nov26", better)
        row = add_session(store, repository, "nov28")
        assert find_untaken(store, workspace, row) == "nov26"
        assert find_untaken(store, workspace, store.update_session(row.id, from_tag="nov26")) is None
        git(repository, "merge", "-q", "autoresearch/nov26")
        assert is_taken(workspace, store.experiments(old.id)[-1])


def test_a_version_that_git_has_lost_is_not_told(repository: Path, better: str) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        old, row = add_session(store, repository, "nov26", better), add_session(store, repository, "nov28")
        store.update_experiment(store.experiments(old.id)[-1].id, sha="1" * 40)
        assert find_untaken(store, Workspace(repository), row) is None
