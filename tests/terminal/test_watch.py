"""A running session followed from another terminal."""

import os
import shutil
import time
from pathlib import Path

import pytest
from support.programs import autoresearch, start_session, wait
from support.terminals import terminal

from autoresearch.ledger import Ledger
from autoresearch.session.live import LIVE_FILE


@pytest.fixture
def evening(finished: Path, tmp_path: Path) -> Path:
    """A copy of the finished session, as if this process worked on it still, at a re-run of experiment 2."""
    root = shutil.copytree(finished, tmp_path / "repository")
    with Ledger.open(root / "runs" / "ledger.db") as store:
        session = store.session("t")
        assert session is not None
        store.update_session(session.id, state="running", pid=os.getpid(), stop_reason=None)
        experiment = store.experiment(session.id, 2)
        assert experiment is not None
        store.start_trial(session.id, experiment.id, "rerun", 1, "b")
        store.event(session.id, "trial", "rerun", n=2)
    return root


def leave(root: Path, n: int) -> None:
    now = time.time()
    text = (
        f'{{"n": {n}, "purpose": "rerun", "stage": "train", "fraction": 0.25, "since": {now}, "at": {now}, "loss": 1.5,'
    )
    (root / "runs" / "t" / LIVE_FILE).write_text(
        text + ' "tokens_per_second": null, "curve": [[0.1, 2], [0.2, 1]], "gpu": null}'
    )


def test_it_shows_the_trial_that_runs_and_ctrl_c_ends_only_the_watching(evening: Path) -> None:
    leave(evening, 2)
    with terminal(evening, "watch", env=os.environ | {"NO_COLOR": "1"}) as shown:
        text = shown.until(lambda text: "2  rerun train" in text and "tried, 1 kept" in text)
        assert "verdict   keep: " in text and "\x1b[3" not in text.replace("\x1b[3F", "")
        shown.resize(40, 10)
        shown.press(b"\x03")
        assert shown.end()[0] == 0
    with Ledger.open(evening / "runs" / "ledger.db", readonly=True) as store:
        session = store.session("t")
        assert session is not None and session.state == "running" and not store.take(session.id, "stop")


def test_a_file_of_another_trial_is_not_believed(evening: Path) -> None:
    leave(evening, 1)
    with terminal(evening, "watch", env=dict(os.environ)) as shown:
        assert "rerun train" not in shown.until(lambda text: "tried, 1 kept" in text)


@pytest.mark.slow
def test_in_a_pipe_it_is_lines_until_the_session_ends(repository: Path, settings_of: dict[str, str]) -> None:
    settings = settings_of | {"AUTORESEARCH_BUDGET": "1.5s", "AUTORESEARCH_REPLICATES": "2"}
    with start_session(repository, settings, "--max-experiments", "1") as running:
        running.wait_for_trial(0)
        wait(lambda: (repository / "runs" / "t" / LIVE_FILE).exists(), "a file of the running trial")
        done = autoresearch(repository, "watch", env=settings_of)
        assert running.end()[0] == 0
    assert done.returncode == 0 and "0  measured  ok " in done.stdout and "\x1b" not in done.stdout
    assert "state       ended: max experiments" in done.stdout and not (repository / "runs" / "t" / LIVE_FILE).exists()


def test_what_is_over_is_shown_at_once(finished: Path) -> None:
    done = autoresearch(finished, "watch")
    assert (
        done.returncode == 0
        and "verdict   keep: " in done.stdout
        and "state       ended: agent exhausted" in done.stdout
    )
