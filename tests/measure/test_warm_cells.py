"""Cells that were started ahead: the next trial begins in them, and scores what it would have scored anyway."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.programs import wait

from autoresearch.data.dataset import Dataset
from autoresearch.measure.settings import Settings
from autoresearch.measure.trial import measure
from autoresearch.measure.warm_cells import WarmCells

MODES = {"claim", "audit", "train"}
TORCH = """import torch

SMOOTHING = 0.5


def train(trial):
    counts = torch.zeros(trial.vocab_size, trial.vocab_size)
    trial.start()
    batches = trial.batches(8)
    while trial.progress < 1:
        x, y = next(batches)
        counts.index_put_((x.flatten(), y.flatten()), torch.ones(x.numel()), accumulate=True)
    trial.save({"logits": torch.log(counts + SMOOTHING)}, {})


def load(state, config, device):
    return lambda tokens: state["logits"][tokens]
"""

pytestmark = pytest.mark.torch


@pytest.fixture
def waiting(quick: Settings) -> Iterator[Settings]:
    lobby = WarmCells()
    yield replace(quick, lobby=lobby)
    lobby.close()


def called(settings: Settings, data: Dataset, *modes: str) -> WarmCells:
    """The lobby, after somebody has been called for each of the tasks."""
    assert settings.lobby is not None
    for mode in modes:
        assert settings.lobby.take(mode, settings, data) is None
    return settings.lobby


def pids(lobby: WarmCells) -> dict[str, int]:
    return {mode: guest.cell.pid for mode, (guest, _) in lobby._waiting.items()}


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_a_trial_leaves_guests_for_the_next_and_scores_the_same(
    waiting: Settings, quick: Settings, bytes_data: Dataset
) -> None:
    assert waiting.lobby is not None
    first = measure(TORCH, 1, waiting, bytes_data)
    there = pids(waiting.lobby)
    assert set(there) == MODES and all(map(alive, there.values()))
    second = measure(TORCH, 1, waiting, bytes_data)
    assert not any(map(alive, there.values())) and set(pids(waiting.lobby)) == MODES
    assert second.outcome == "ok", second.reason + second.log
    assert first.val_bpb == second.val_bpb == measure(TORCH, 1, quick, bytes_data).val_bpb
    assert second.grade == first.grade


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_on_a_cpu_they_import_on_spare_cores_and_work_on_those_of_the_slot(
    quick: Settings, bytes_data: Dataset
) -> None:
    spare, own, *_ = sorted(os.sched_getaffinity(0))
    lobby = WarmCells((spare,))
    settings = replace(quick, cores=(own,), lobby=lobby)
    try:
        called(settings, bytes_data, "claim")
        pid = pids(lobby)["claim"]
        assert os.sched_getaffinity(pid) == {spare}
        lobby.settle()
        assert lobby._there == {"claim"}
        guest = lobby.take("claim", settings, bytes_data)
        assert guest is not None and guest.cell.pid == pid and os.sched_getaffinity(pid) == {own}
        guest.leave()
    finally:
        lobby.close()


def test_who_came_before_there_was_a_compile_cache_is_not_used(
    waiting: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    settings = replace(waiting, caches=tmp_path / "caches")
    lobby = called(settings, bytes_data, "train")
    (tmp_path / "caches" / "inductor").mkdir(parents=True)
    assert lobby.take("train", settings, bytes_data) is None
    guest = lobby.take("train", settings, bytes_data)
    assert guest is not None and (guest.cell.tmp / "inductor").is_dir()
    guest.leave()


def test_who_has_died_or_would_be_another_now_is_not_used(waiting: Settings, bytes_data: Dataset) -> None:
    lobby = called(waiting, bytes_data, "claim", "audit")
    there = pids(lobby)
    assert (
        set(there) == {"claim", "audit"} and lobby.take("sample", waiting, bytes_data) is None and pids(lobby) == there
    )
    os.kill(there["claim"], signal.SIGKILL)
    wait(lambda: not lobby._waiting["claim"][0].cell.running(), "its end")
    assert lobby.take("claim", waiting, bytes_data) is None
    assert lobby.take("audit", replace(waiting, threads=3), bytes_data) is None
    assert not alive(there["claim"]) and not alive(there["audit"])
    new = pids(lobby)
    lobby.close()
    assert set(new) == {"claim", "audit"} and not any(map(alive, new.values()))
