"""Which session a run goes on with: the same base on the same machine, or another one."""

import re
from pathlib import Path

import pytest
from support.nvml import answer, install_nvml
from support.programs import call_main
from support.repositories import git

from autoresearch.data.dataset import Dataset
from autoresearch.errors import UsageError, UserError
from autoresearch.hardware import EVALUATOR
from autoresearch.ledger import Ledger, Session
from autoresearch.session.opening import open_session, open_session_project
from autoresearch.setup import project, slots
from autoresearch.workspace.workspace import Workspace


@pytest.fixture
def repository(repository: Path, settings_of: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in settings_of.items():
        if name.startswith("AUTORESEARCH_"):
            monkeypatch.setenv(name, value)
    monkeypatch.delenv("AUTORESEARCH_TAG")
    monkeypatch.chdir(repository)
    return repository


def opened(root: Path, origin: str | None = None, **flags: str) -> str:
    """The tag of the session that a run would be, as if it had been interrupted at once."""
    place = project.open_project({"agent": "sweep"} | flags, root)
    with Ledger.open(place.ledger) as store:
        row = open_session(place, store, Workspace(root), origin)
        store.update_session(row.id, state="ended", stop_reason="interrupted")
    return row.tag


def measured(root: Path, tag: str, *texts: str) -> list[str]:
    """Add a base and keeps with these texts to a session; return their commits."""
    workspace = Workspace(root)
    with Ledger.open(root / "runs/ledger.db") as store:
        session = store.find_session(tag)
        shas = [workspace.start(tag, session.base_sha)]
        for n, text in enumerate(texts, 1):
            shas.append(workspace.keep(tag, n, workspace.commit(tag, n, text, shas[-1], "change"), "kept"))
        for n, sha in enumerate(shas):
            columns = {"sha": sha, "verdict": "keep", "state": "settled", "settled": float(n), "val_bpb": 2.0}
            store.add_experiment(session.id, n, text=workspace.read(sha), parent=n - 1 if n else None, **columns)
    return shas


def test_a_changed_base_is_a_new_session(repository: Path) -> None:
    first = opened(repository)
    assert opened(repository) == first
    (repository / "train.py").write_text((repository / "train.py").read_text().replace("BATCH = 8", "BATCH = 16"))
    assert opened(repository) == first, "only what is committed counts"
    git(repository, "commit", "-qam", "another plan")
    second = opened(repository)
    assert second != first and opened(repository) == second


def test_a_session_keeps_its_data_set_whatever_its_source_becomes(
    repository: Path, bytes_data: Dataset, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = opened(repository)
    assert open_session_project({}).data.hash == bytes_data.hash and capsys.readouterr().err == ""
    monkeypatch.setenv("AUTORESEARCH_SOURCE", f"files:{repository}/none/*.txt")
    for flags in ({}, {"tag": tag}):
        place = open_session_project(flags)
        assert place.data.hash == bytes_data.hash
        assert f"goes on with the data set {bytes_data.hash}" in capsys.readouterr().err
    for flags, origin in (({"tag": "another"}, None), ({}, tag)):
        with pytest.raises(UserError, match="no file matches"):
            open_session_project(flags, origin)


def test_a_card_without_a_text_is_refused_before_anybody_is_asked(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "torch_problem", answer(None))
    install_nvml(monkeypatch)
    for name in ("DEVICE", "SOURCE", "BUDGET"):
        monkeypatch.delenv(f"AUTORESEARCH_{name}")
    monkeypatch.setenv("AUTORESEARCH_SLOTS", "0")
    with pytest.raises(UsageError, match="choose a text for the card"):
        open_session_project({}, settle_agent=lambda *_: pytest.fail("somebody was asked"))


def test_scores_that_cannot_be_compared_are_no_session(repository: Path) -> None:
    tag = opened(repository)
    with pytest.raises(
        UserError, match=rf"started with another budget: .* `autoresearch run --from {tag}` starts a new"
    ):
        opened(repository, budget="30steps")
    with pytest.raises(UserError, match="started with another eval_rows"):
        opened(repository, tag=tag, eval_rows="32")
    with Ledger.open(repository / "runs/ledger.db") as store:
        session = store.session(tag)
        assert session is not None and {"gpu", "driver", "torch", "data", "evaluator", "cpu"} <= session.identity.keys()
        store.update_session(session.id, identity=session.identity | {"driver": "570.00", "torch": "2.0"})
    with pytest.raises(UserError, match="another driver, torch"):
        opened(repository)


def row_of(root: Path, tag: str) -> Session:
    with Ledger.open(root / "runs/ledger.db", readonly=True) as store:
        return store.find_session(tag)


def test_a_session_starts_from_the_best_of_another(repository: Path, bigram: str) -> None:
    first = opened(repository)
    (_, best) = measured(repository, first, bigram.replace("BATCH = 8 ", "BATCH = 16 "))
    second = opened(repository, origin=first)
    row = row_of(repository, second)
    assert (row.base_sha, str(row.started_from)) == (best, f"started from {first} (experiment 1)")
    assert opened(repository) == second, "it is the newest unfinished one on this HEAD"
    (repository / "train.py").write_text(bigram.replace("BATCH = 8 ", "BATCH = 32 "))
    git(repository, "commit", "-qam", "another plan")
    assert opened(repository) not in (first, second)
    assert opened(repository, origin=first, tag="third") == "third"


def test_the_command_of_an_older_session_that_was_interrupted_continues_that_one(
    repository: Path, bigram: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    older = opened(repository)
    with Ledger.open(repository / "runs/ledger.db") as store:
        store.update_session(store.find_session(older).id, state="running", stop_reason=None, pid=None)
    (repository / "train.py").write_text(bigram.replace("BATCH = 8 ", "BATCH = 16 "))
    git(repository, "commit", "-qam", "another plan")
    assert opened(repository) != older
    assert call_main(monkeypatch, "status", "--tag", older) == 0
    state = next(line for line in capfd.readouterr().out.splitlines() if line.startswith("state "))
    words = re.findall(r"`autoresearch run --tag (\S+)` continues it", state)
    assert words == [older] and opened(repository, tag=words[0]) == older


def test_a_session_without_a_keep_gives_its_base(repository: Path) -> None:
    first = opened(repository)
    with pytest.raises(UserError, match=f"session `{first}` has no version yet"):
        opened(repository, origin=first)
    (base,) = measured(repository, first)
    row = row_of(repository, opened(repository, origin=first))
    assert (row.base_sha, str(row.started_from)) == (base, f"started from {first} (its base: nothing was kept)")


def test_what_cannot_be_started_from(repository: Path, bigram: str) -> None:
    with pytest.raises(UserError, match="no session yet"):
        opened(repository, origin="nobody")
    first = opened(repository)
    measured(repository, first, bigram.replace("BATCH = 8 ", "BATCH = 16 "))
    with pytest.raises(UserError, match=f"there is no session `nobody`; there is {first}"):
        opened(repository, origin="nobody")
    with pytest.raises(UserError, match=f"there is a session `{first}` already: .* leave out --from"):
        opened(repository, origin=first, tag=first)
    with pytest.raises(UserError, match=f"there is a session `{first}` already"):
        open_session_project({"tag": first}, first, lambda *_: pytest.fail("somebody was asked"))
    with Ledger.open(repository / "runs/ledger.db") as store:
        version = store.experiment(store.find_session(first).id, 1)
        assert version is not None
        store.update_experiment(version.id, sha="0" * 40)
    with pytest.raises(UserError, match=f"is gone: `autoresearch best --tag {first}` still has its text"):
        opened(repository, origin=first)


@pytest.mark.parametrize(
    ("evaluator", "words"),
    [(None, "evaluator 1, .*it can be read, but"), (EVALUATOR + 1, f"evaluator {EVALUATOR + 1}, .*update the program")],
)
def test_a_session_of_another_evaluator_does_not_go_on(evaluator: int | None, words: str, repository: Path) -> None:
    tag = opened(repository)
    measured(repository, tag)
    with Ledger.open(repository / "runs/ledger.db") as store:
        session = store.find_session(tag)
        store.update_session(session.id, identity=session.identity | {"evaluator": evaluator})
    for flags in ({}, {"tag": tag}):
        with pytest.raises(UserError, match=f"{words}.*`autoresearch run --from {tag}` starts a new session"):
            opened(repository, **flags)
    new = row_of(repository, opened(repository, origin=tag))
    assert (new.evaluator, new.from_tag) == (EVALUATOR, tag)


def test_a_name_that_a_branch_has_is_not_chosen(repository: Path) -> None:
    first = opened(repository)
    with Ledger.open(repository / "runs/ledger.db") as store:
        store.remove_session(store.find_session(first).id)
    git(repository, "branch", f"autoresearch/{first}")
    git(repository, "branch", f"autoresearch/{first}-2/mine")
    assert opened(repository) == f"{first}-3"


def test_a_branch_that_is_no_sessions_is_in_the_way(repository: Path) -> None:
    git(repository, "checkout", "-q", "-b", "autoresearch/mine")
    git(repository, "commit", "-q", "--allow-empty", "-m", "mine")
    git(repository, "checkout", "-q", "main")
    with pytest.raises(UserError, match=r"branch autoresearch/mine exists already, .*`git branch -m"):
        opened(repository, tag="mine")
    with pytest.raises(UserError, match="no session yet"), Ledger.open(repository / "runs/ledger.db") as store:
        store.find_session("mine")
