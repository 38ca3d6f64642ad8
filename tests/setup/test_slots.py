"""Slots: who holds one is named, another that is free is named too, and a program may wait."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from autoresearch.errors import Blocker
from autoresearch.ledger import Ledger
from autoresearch.setup import slots
from autoresearch.setup.slots import Holder, Slot, lock

HOLD = """
import sys
from autoresearch.setup.slots import Slot, lock

sys.argv = ["autoresearch", sys.argv[1]]
with lock([Slot("cpu-1", "cpu", cores=(1,))]):
    print("held", flush=True)
    sys.stdin.read()
"""
TWO = (Slot("cpu-1", "cpu", cores=(1,)), Slot("cpu-0", "cpu", cores=(0,)))


@pytest.fixture(autouse=True)
def _two_cores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(slots.os, "sched_getaffinity", lambda pid: {0, 1})


@contextmanager
def holder(folder: Path, command: str = "total") -> Iterator[subprocess.Popen[str]]:
    """Run another program that holds slot cpu-1."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, command], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None and process.stdout is not None
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def test_the_program_that_holds_a_slot_is_named_with_its_folder_and_a_free_slot(repository: Path) -> None:
    with holder(repository) as process, pytest.raises(Blocker) as caught, lock(TWO[:1]):
        pass
    words = f"another autoresearch measures on cpu-1 (process {process.pid}, `autoresearch total` in {repository}): "
    assert str(caught.value) == f"{words}--slots 1 (cpu-0) is free, or --wait until it ends, or stop it"
    with lock(TWO):  # it is free again
        pass


def test_a_second_run_in_a_repository_needs_a_tag_of_its_own(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder, command, offer in (
        (repository, "run", "--slots 1 --tag NEW (cpu-0) is free"),
        (tmp_path, "run", "--slots 1 (cpu-0) is free"),
        (repository, "total", "--slots 1 (cpu-0) is free"),
    ):
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["autoresearch", command])
        with holder(repository, "run"), pytest.raises(Blocker) as caught, lock(TWO[:1]):
            pass
        assert offer in str(caught.value)


def test_the_session_of_the_holder_is_named(repository: Path) -> None:
    with Ledger.open(repository / "runs" / "ledger.db") as store:
        row = store.create_session("nov21", "autoresearch/nov21", "0" * 40, "sweep", "default", {}, {}, seed=5)
        store.update_session(row.id, state="running", pid=os.getpid())
    assert str(Holder(os.getpid(), "autoresearch run", str(repository))).endswith(f"{repository}, session nov21")
    assert ", session" not in str(Holder(1, "autoresearch run", str(repository)))


def test_no_slot_is_offered_that_somebody_holds(tmp_path: Path) -> None:
    with holder(tmp_path), lock(TWO[1:]), pytest.raises(Blocker) as caught, lock(TWO[:1]):
        pass
    assert "--slots" not in str(caught.value)


def test_a_program_waits_and_says_for_whom(tmp_path: Path) -> None:
    lines: list[str] = []
    with holder(tmp_path) as process:
        threading.Timer(0.3, end, (process,)).start()
        with lock(TWO[:1], lines.append):
            pass
    assert len(lines) == 1 and lines[0].startswith(f"waits for cpu-1: process {process.pid}, ")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x", "command": "a", "folder": "/"}', "\x00"])
def test_a_note_that_says_nothing_names_nobody(tmp_path: Path, text: str) -> None:
    (tmp_path / "note.json").write_text(text)
    assert Holder.read(tmp_path / "note.json") is None
    (tmp_path / "note.json").write_text(json.dumps({"pid": 2**22 + 1, "command": "autoresearch run", "folder": "/"}))
    assert Holder.read(tmp_path / "note.json") is None  # it has ended
