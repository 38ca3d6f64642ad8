"""The user's command for events that one may want to be woken for."""

import errno
import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.programs import autoresearch, wait
from support.repositories import BIGRAM

from autoresearch.config import Config
from autoresearch.errors import Blocker
from autoresearch.ledger import Ledger
from autoresearch.sandbox.selftest import Inspection
from autoresearch.session.events import LedgerEvent, SessionClosed, SessionOpened
from autoresearch.session.hook import MAX_QUEUED, Hook

ROW: Any = SimpleNamespace(tag="t", id=1)
APPEND = 'cat >> told; echo >> told; echo "$AUTORESEARCH_EVENT|$AUTORESEARCH_TAG|$AUTORESEARCH_TEXT" >> words'


def hook(folder: Path, command: str | None = APPEND, seconds: float = 10.0) -> tuple[Hook, list[str]]:
    said: list[str] = []
    config = Config(on_event=command, on_event_seconds=seconds)
    project: Any = SimpleNamespace(config=config, root=folder, ledger=folder / "ledger.db")
    made = Hook(project, said.append)
    made.handle(SessionOpened(ROW, Inspection({}, {}, []), dirty=False))
    return made, said


def messages(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "told").read_text().splitlines()]


def test_it_is_told_what_matters_and_nothing_else(tmp_path: Path) -> None:
    made, said = hook(tmp_path)
    with made:
        made.handle(LedgerEvent("proposed", 1, "deeper"))
        made.handle(LedgerEvent("verdict", 0, "keep: the base", {"verdict": "keep"}))
        made.handle(LedgerEvent("verdict", 1, "discard: no", {"verdict": "discard"}))
        made.handle(
            LedgerEvent("verdict", 2, "keep: yes", {"verdict": "keep", "val_bpb": 1.5, "hypothesis": "deep\x1b[2Jer"})
        )
        made.handle(LedgerEvent("verdict", 3, "suspect: too good", {"verdict": "suspect"}))
        made.handle(SessionClosed(ROW, "deadline", branch_follows=True))
    assert [(each["event"], each["n"], each["tag"]) for each in messages(tmp_path)] == [
        ("new best", 2, "t"), ("suspect", 3, "t"), ("finished", None, "t"),
    ]  # fmt: skip
    assert messages(tmp_path)[0]["data"] == {"verdict": "keep", "val_bpb": 1.5, "hypothesis": "deeper"} and not said
    lines = (tmp_path / "words").read_text().splitlines()
    assert lines == [
        "new best|t|experiment 2: keep: yes",
        "suspect|t|experiment 3: suspect: too good",
        "finished|t|session t ended: deadline",
    ]


def test_an_agent_that_stays_away_is_told_of_once(tmp_path: Path) -> None:
    made, _ = hook(tmp_path)
    with made:
        for _ in range(5):
            made.handle(LedgerEvent("absent", 4, "claude cannot be asked (no credit): sweep proposes meanwhile"))
        made.handle(LedgerEvent("absent", 5, "claude cannot be asked (overloaded): sweep proposes meanwhile"))
    assert [(each["event"], each["n"]) for each in messages(tmp_path)] == [("needs you", 4), ("needs you", 5)]


def test_a_keep_that_is_found_suspect_later_is_told(tmp_path: Path) -> None:
    made, _ = hook(tmp_path)
    with made:
        made.handle(LedgerEvent("demoted", 3, "suspect: found later: why", {"verdict": "suspect", "was": {}}))
        made.handle(LedgerEvent("demoted", 4, "no near miss any more: the incumbent is the base"))
    assert [(each["event"], each["n"]) for each in messages(tmp_path)] == [("suspect", 3)]


def test_what_stands_in_the_way_is_told_and_raised(tmp_path: Path) -> None:
    made, _ = hook(tmp_path)
    with pytest.raises(Blocker), made:
        raise Blocker("no cell can be started here")
    assert [(each["event"], each["text"]) for each in messages(tmp_path)] == [
        ("needs you", "no cell can be started here")
    ]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "No space left on device: make room there, then `autoresearch run` goes on",
        ),
        (MemoryError(), "out of memory: end what uses so much of it"),
        (RuntimeError("a bug of ours"), "the program failed: RuntimeError: a bug of ours"),
    ],
)
def test_a_session_that_ends_by_an_error_is_reported(tmp_path: Path, error: Exception, words: str) -> None:
    made, _ = hook(tmp_path)
    with pytest.raises(type(error)), made:
        raise error
    (only,) = messages(tmp_path)
    assert only["event"] == "needs you" and only["text"].startswith(words)


def test_words_of_an_agent_are_no_commands_and_do_nothing_in_a_terminal(tmp_path: Path) -> None:
    made, _ = hook(tmp_path)
    with made:
        text = "keep: $(touch owned) `touch owned`; touch owned\x00\x1b]0;x\x07\n\u202e" + "x" * 10_000
        made.handle(LedgerEvent("verdict", 1, text, {"verdict": "keep"}))
    assert not (tmp_path / "owned").exists()
    line = (tmp_path / "words").read_text()
    assert "$(touch owned) `touch owned`; touch owned" in line and len(line) < 600
    assert all(char.isprintable() for char in line.rstrip("\n"))


def test_a_slow_command_holds_nothing_up_and_is_ended_with_its_children(tmp_path: Path) -> None:
    with Ledger.open(tmp_path / "ledger.db") as store:
        store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
    made, said = hook(tmp_path, "sleep 300 & echo $! > child; wait", seconds=0.5)
    with made:
        began = time.monotonic()
        for n in range(1, 2 * MAX_QUEUED):
            made.handle(LedgerEvent("verdict", n, "keep: yes", {"verdict": "keep"}))
        assert time.monotonic() - began < 5  # waiting for the command would take 7.5 s
        child = int(wait(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text(), "the child"))
        wait(lambda: said, "a word about it")
    assert len(said) == 1 and not Path(f"/proc/{child}/exe").exists()


@pytest.mark.parametrize(
    ("command", "words"), [("exit 3", "its exit status was 3"), ("sleep 9", "it took over 0.3 s and was ended")]
)
def test_what_goes_wrong_is_noted_once(tmp_path: Path, command: str, words: str) -> None:
    made, said = hook(tmp_path, command, seconds=0.3)
    with Ledger.open(tmp_path / "ledger.db") as store:
        row = store.create_session("t", "b", "s", "sweep", "default", {}, {}, 0)
        made.handle(SessionOpened(row, Inspection({}, {}, []), dirty=False))
        with made:
            for n in (1, 2):
                made.handle(LedgerEvent("verdict", n, "keep: yes", {"verdict": "keep"}))
        assert said == [f"the command of on_event failed: {words}"]
        assert [(event.kind, event.text) for event in store.events(row.id)] == [("hook", said[0])]


def test_without_a_command_there_is_nothing(tmp_path: Path) -> None:
    made, said = hook(tmp_path, None)
    with made:
        made.handle(LedgerEvent("verdict", 1, "keep: yes", {"verdict": "keep"}))
        made.handle(SessionClosed(ROW, "deadline", branch_follows=True))
    assert not said and made.queue.empty() and not list(tmp_path.iterdir())


@pytest.mark.slow
def test_a_whole_session(repository: Path, settings_of: dict[str, str], tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.mkdir()
    (script / "01-smoother.py").write_text(BIGRAM.replace("SMOOTHING = 0.5 ", "SMOOTHING = 0.02 "))
    (repository / "autoresearch.yaml").write_text(f"on_event: '{APPEND}'\n")
    done = autoresearch(repository, "run", "--agent", f"scripted:{script}", env=settings_of)
    assert done.returncode == 0, done.stderr
    assert [each["event"] for each in messages(repository)] == ["new best", "finished"]
    assert messages(repository)[0]["data"]["delta"] < 0
