"""Cells that were started ahead: the next trial begins in them, and scores what it would have scored anyway."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from programs import wait

from autoresearch.measure.data import Dataset
from autoresearch.measure.guest import Lobby
from autoresearch.measure.settings import Settings
from autoresearch.measure.trial import measure

MODES = ("claim", "audit", "train")


@pytest.fixture
def waiting(quick: Settings, bytes_data: Dataset) -> Iterator[Settings]:
    lobby = Lobby()
    yield replace(quick, lobby=lobby)
    lobby.close()


def pids(lobby: Lobby | None) -> dict[str, int]:
    assert lobby is not None
    return {mode: guest.cell.pid for mode, (guest, _) in lobby._waiting.items()}


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_a_trial_leaves_one_guest_for_the_next_and_scores_the_same(bigram: str, waiting: Settings, quick: Settings, bytes_data: Dataset) -> None:
    first = measure(bigram, 1, waiting, bytes_data)
    there = pids(waiting.lobby)
    assert set(there) == {"train"} and all(map(alive, there.values()))  # claim and audit were at work
    second = measure(bigram, 1, waiting, bytes_data)
    assert not alive(there["train"]) and pids(waiting.lobby)["train"] != there["train"]
    assert first.val_bpb == second.val_bpb == measure(bigram, 1, quick, bytes_data).val_bpb
    assert second.outcome == "ok" and second.grade == first.grade


def test_who_has_died_or_would_be_another_now_is_not_used(waiting: Settings, bytes_data: Dataset) -> None:
    lobby = waiting.lobby
    assert lobby is not None
    lobby.fill(waiting, bytes_data)
    there = pids(lobby)
    assert set(there) == set(MODES)
    os.kill(there["claim"], signal.SIGKILL)
    wait(lambda: not lobby._waiting["claim"][0].cell.running(), "its end")
    assert lobby.take("claim", waiting, bytes_data) is None
    assert lobby.take("audit", replace(waiting, threads=3), bytes_data) is None
    assert lobby.take("sample", waiting, bytes_data) is None
    assert not alive(there["claim"]) and not alive(there["audit"])
    lobby.close()
    assert not alive(there["train"])
