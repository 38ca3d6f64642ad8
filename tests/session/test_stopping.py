"""A running session and its user: Ctrl-C once and twice, SIGTERM, kill -9, pause, unpause, stop, note, status."""

import json
import signal
import time
from pathlib import Path

import pytest
from support.programs import RunningSession, autoresearch, have_ended, start_session, wait

from autoresearch.analysis import consistency
from autoresearch.ledger import Ledger

EDITS = 2


@pytest.fixture
def script(tmp_path: Path, bigram: str) -> Path:
    """Changes for the worse, so that each experiment is one trial."""
    folder = tmp_path / "script"
    folder.mkdir()
    for k in range(1, EDITS + 1):
        (folder / f"{k:02}-blunter.py").write_text(
            bigram.replace("SHARPNESS = 1.0", f"SHARPNESS = {0.4 - 0.1 * k:.1f}")
        )
    return folder


@pytest.fixture
def env(settings_of: dict[str, str], script: Path) -> dict[str, str]:
    own = {"AGENT": f"scripted:{script}", "BUDGET": "0.4cpu", "REPLICATES": "2"}
    return settings_of | {f"AUTORESEARCH_{name}": value for name, value in own.items()}


def settled_after_resume(repository: Path, env: dict[str, str]) -> None:
    """`run` goes on to the end, nothing is lost or counted twice, and ledger, git and artefacts agree."""
    done = autoresearch(repository, "run", env=env)
    assert done.returncode == 0, done.stderr
    with Ledger.open(repository / "runs" / "ledger.db", readonly=True) as store:
        session = store.session()
        assert session is not None and session.stop_reason == "agent exhausted"
        experiments = store.experiments(session.id)
    assert [(row.n, row.state) for row in experiments] == [(n, "settled") for n in range(EDITS + 1)]
    assert [row.verdict for row in experiments[1:]] == ["discard"] * EDITS
    assert consistency.check(repository) == []


@pytest.mark.slow
def test_the_first_interrupt_finishes_the_running_trial(repository: Path, env: dict[str, str]) -> None:
    with start_session(repository, env) as running:
        running.wait_for_trial(1)
        children = running.children()
        running.interrupt()
        code, out, err = running.end()
    assert code == 130
    assert "finishing the running trial; press Ctrl-C again to kill it" in err and "ended: interrupted" in err
    assert "state       ended: interrupted" in out
    assert [trial.outcome for trial in running.trials(1)] == ["ok"] and not running.trials(2)
    assert have_ended(children)
    settled_after_resume(repository, env)


@pytest.mark.slow
def test_the_first_interrupt_finishes_one_trial_of_the_base_and_not_all(repository: Path, env: dict[str, str]) -> None:
    with start_session(repository, env) as running:
        running.wait_for_trial(0)
        before = len(running.trials(0))
        running.interrupt()
        code, _, _ = running.end()
    assert code == 130 and len(running.trials(0)) == before
    settled_after_resume(repository, env)


@pytest.mark.slow
def test_the_second_interrupt_kills_it(repository: Path, env: dict[str, str]) -> None:
    with start_session(repository, env | {"AUTORESEARCH_BUDGET": "60s"}) as running:
        running.wait_for_trial(0)
        children, started = running.children(), time.monotonic()
        running.interrupt()
        time.sleep(0.3)
        assert running.process.poll() is None, running.end()
        running.interrupt()
        code, _, err = running.end()
    assert code == 130 and "Traceback" not in err
    assert time.monotonic() - started < 45
    assert [trial.outcome for trial in running.trials(0)] == ["infra"]
    assert have_ended(children)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_program_that_is_ended_from_outside_goes_on_later(
    repository: Path, env: dict[str, str], number: signal.Signals
) -> None:
    with start_session(repository, env) as running:
        running.wait_for_trial(1)
        children = running.children()
        running.process.send_signal(number)
        code, _, err = running.end()
    assert code == (130 if number == signal.SIGTERM else -9) and "Traceback" not in err
    assert have_ended(children)
    state = autoresearch(repository, "status", env=env).stdout
    if number == signal.SIGKILL:
        assert "state       interrupted (its process is gone); `autoresearch run --tag t` continues it" in state
        assert consistency.check(repository) == []
    settled_after_resume(repository, env)


@pytest.mark.slow
def test_pause_unpause_note_stop(repository: Path, env: dict[str, str]) -> None:
    with start_session(repository, env) as running:
        running.wait_for_trial(0)
        said = autoresearch(repository, "pause", env=env)
        assert (said.returncode, said.stdout) == (
            0,
            "",
        ) and "pauses after the running experiment" in said.stderr
        wait(lambda: state(running) == "paused", "the pause")
        assert "paused; `autoresearch unpause` continues it" in autoresearch(repository, "status", env=env).stdout
        said = autoresearch(repository, "note", "a blunter one", env=env)
        assert said.returncode == 0 and "reads it before its next proposal" in said.stderr
        assert autoresearch(repository, "unpause", env=env).returncode == 0
        wait(lambda: state(running) == "running", "the end of the pause")
        assert "ends after the running experiment" in autoresearch(repository, "stop", env=env).stderr
        code, out, _ = running.end()
    assert code == 0 and "ended: stopped" in out
    traces = (repository / "runs/t").glob("*/trace.jsonl")
    assert any("a blunter one" in trace.read_text() for trace in traces)
    settled_after_resume(repository, env)


@pytest.mark.slow
def test_status_names_the_trial_that_runs(repository: Path, env: dict[str, str]) -> None:
    with start_session(repository, env | {"AUTORESEARCH_BUDGET": "60s"}) as running:
        running.wait_for_trial(0)
        text = autoresearch(repository, "status", env=env).stdout
        assert "state       running" in text and "now         experiment 0, base trial, for" in text
        trial = json.loads(autoresearch(repository, "status", "--json", env=env).stdout)["trial"]
        assert (trial["n"], trial["purpose"]) == (0, "base") and trial.keys() == {
            "n",
            "purpose",
            "seed",
            "started",
            "others",
        }
        again = autoresearch(repository, "run", env=env)
        assert again.returncode == 3 and "another autoresearch measures on cpu" in again.stderr
        assert "session     t" in text


def state(running: RunningSession) -> str | None:
    session = running.session()
    return session.state if session else None


@pytest.mark.slow
def test_a_session_can_go_on_with_another_agent(repository: Path, env: dict[str, str]) -> None:
    first = autoresearch(repository, "run", "--max-experiments", "1", env=env)
    second = autoresearch(repository, "run", "--max-experiments", "2", "--agent", "sweep", env=env)
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    log = json.loads(autoresearch(repository, "log", "--all", "--json", env=env).stdout)
    assert [row["agent"] for row in log] == [None, "scripted", "sweep"]
    assert "agent sweep" in second.stderr
