"""Processes of one machine that each take the first slot that is free."""

import threading
from pathlib import Path

import pytest

from autoresearch.errors import Blocker
from autoresearch.setup.slots import Slot, lock, take_one

SLOTS = [Slot("a", "cpu", cores=(0,)), Slot("b", "cpu", cores=(1,))]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUTORESEARCH_CACHE", str(tmp_path))


def test_the_next_free_slot_is_taken_and_given_back() -> None:
    with take_one(SLOTS) as first, take_one(SLOTS) as second:
        assert (first, second) == (SLOTS[0], SLOTS[1])
        with pytest.raises(Blocker), lock([first]):
            pass
    with take_one(SLOTS) as again:
        assert again == SLOTS[0]


def test_a_process_waits_while_none_is_free() -> None:
    taken = threading.Event()

    def wait() -> None:
        with take_one(SLOTS):
            taken.set()

    with take_one(SLOTS), take_one(SLOTS):
        thread = threading.Thread(target=wait, daemon=True)
        thread.start()
        assert not taken.wait(0.5)
    assert taken.wait(30)
    thread.join()


def test_a_slot_on_another_machine_locks_nothing_here() -> None:
    with lock([Slot("ray-0", "cpu", remote=True)]), lock([Slot("ray-0", "cpu", remote=True)]):
        assert Slot("ray-0", "cpu", remote=True).locks == []
