"""The honest total of a session that ends early, and how to leave it out."""

import shutil
from pathlib import Path

import pytest
from support.programs import RunningSession, autoresearch, start_session, wait
from support.repositories import git

from autoresearch.analysis.total import recorded_totals
from autoresearch.ledger import Ledger

pytestmark = pytest.mark.slow


@pytest.fixture
def root(session_repository: Path, tmp_path: Path) -> Path:
    """A session with a keep, whose agent has nothing more to propose."""
    (tmp_path / "script").mkdir()
    return shutil.copytree(session_repository, tmp_path / "repository")


@pytest.fixture
def env(settings_of: dict[str, str], tmp_path: Path) -> dict[str, str]:
    own = {"AGENT": f"scripted:{tmp_path / 'script'}", "TOTAL_PAIRS": "3"}
    return settings_of | {f"AUTORESEARCH_{name}": value for name, value in own.items()}


def totals(root: Path) -> int:
    with Ledger.open(root / "runs" / "ledger.db", readonly=True) as store:
        return len(recorded_totals(store.events(store.find_session("t").id)))


def wait_for_total(running: RunningSession) -> None:
    wait(lambda: any(trial.purpose == "total" for n in (0, 1) for trial in running.trials(n)), "the honest total")


def propose_worse(root: Path) -> None:
    text = git(root, "show", "refs/autoresearch/t/best:train.py").replace("SHARPNESS = 1.0", "SHARPNESS = 0.2")
    (root.parent / "script" / "01-worse.py").write_text(text)


def test_stop_ends_with_the_total_and_ctrl_c_leaves_it_out(root: Path, env: dict[str, str]) -> None:
    propose_worse(root)
    with start_session(root, env) as running:
        running.wait_for_trial(3)
        assert "a second `stop` leaves out" in autoresearch(root, "stop", env=env).stderr
        wait_for_total(running)
        running.interrupt()
        code, out, err = running.end()
    assert code == 0 and "ended: stopped" in out and "left out: `autoresearch total` measures it" in err
    last = "next: `autoresearch run` continues t; `autoresearch total` measures what it gained; `autoresearch best"
    assert totals(root) == 0 and err.splitlines()[-1].startswith(last)
    with start_session(root, env) as running:
        code, out, err = running.end()
    assert (code, totals(root)) == (0, 1) and "ended: agent exhausted" in out, err
    assert err.splitlines()[-1].startswith(
        "next: `autoresearch report` shows what was kept; `autoresearch best --write`"
    )


def test_a_stop_during_the_total_leaves_it_out(root: Path, env: dict[str, str]) -> None:
    propose_worse(root)
    with start_session(root, env) as running:
        wait_for_total(running)
        assert autoresearch(root, "stop", env=env).returncode == 0
        code, out, err = running.end()
    assert (code, totals(root)) == (0, 0) and "ended: agent exhausted" in out and "left out" in err


def test_two_stops_in_one_experiment_leave_the_total_out(root: Path, env: dict[str, str]) -> None:
    propose_worse(root)
    with start_session(root, env) as running:
        running.wait_for_trial(3)
        said = [autoresearch(root, "stop", env=env).stderr for _ in range(2)]
        code, out, err = running.end()
    assert "and its honest total" in said[0] and "without its honest total" in said[1]
    assert (code, totals(root)) == (0, 0) and "ended: stopped" in out and "left out" in err
