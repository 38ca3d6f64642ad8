"""Cells that are started ahead: the next trial runs in them and gets the same score."""

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.programs import wait

from autoresearch.data.dataset import Dataset
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings
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
def cells() -> Iterator[WarmCells]:
    warm = WarmCells()
    yield warm
    warm.close()


def start_idle(cells: WarmCells, settings: Settings, data: Dataset, *modes: str) -> None:
    """Start an idle cell for each of the modes."""
    for mode in modes:
        assert cells.take(mode, settings, data) is None


def pids(cells: WarmCells) -> dict[str, int]:
    return {mode: process.cell.pid for mode, (process, _) in cells._idle.items()}


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_a_cell_for_training_has_imported_what_an_optimizer_needs(
    cells: WarmCells, quick: Settings, bytes_data: Dataset
) -> None:
    start_idle(cells, quick, bytes_data, "train")
    told = "\nimport sys\nIS_THERE = 'torch._dynamo' in sys.modules\n" + TORCH.replace(
        "    trial.start()", "    trial.log(is_there=IS_THERE)\n    trial.start()"
    )
    result = CellReferee(quick, bytes_data, cells).measure(told, 1)
    assert result.reported["is_there"] == 1.0


@pytest.mark.slow
def test_a_trial_leaves_cells_for_the_next_and_scores_the_same(
    cells: WarmCells, quick: Settings, bytes_data: Dataset
) -> None:
    referee = CellReferee(quick, bytes_data, cells)
    first = referee.measure(TORCH, 1)
    there = pids(cells)
    assert set(there) == MODES and all(map(alive, there.values()))
    second = referee.measure(TORCH, 1)
    assert not any(map(alive, there.values())) and set(pids(cells)) == MODES
    assert second.outcome == "ok", second.reason + second.log
    assert first.val_bpb == second.val_bpb == CellReferee(quick, bytes_data).measure(TORCH, 1).val_bpb
    assert second.grade == first.grade


@pytest.mark.slow
@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_on_a_cpu_they_import_on_spare_cores_and_work_on_those_of_the_slot(
    quick: Settings, bytes_data: Dataset
) -> None:
    spare, own, *_ = sorted(os.sched_getaffinity(0))
    warm = WarmCells((spare,))
    settings = replace(quick, cores=(own,))
    try:
        start_idle(warm, settings, bytes_data, "claim")
        pid = pids(warm)["claim"]
        assert os.sched_getaffinity(pid) == {spare}
        warm.wait_until_ready()
        assert warm._ready == {"claim"}
        process = warm.take("claim", settings, bytes_data)
        assert process is not None and process.cell.pid == pid and os.sched_getaffinity(pid) == {own}
        process.kill()
    finally:
        warm.close()


@pytest.mark.slow
def test_a_cell_from_before_the_compile_cache_is_not_used(
    cells: WarmCells, quick: Settings, bytes_data: Dataset, tmp_path: Path
) -> None:
    settings = replace(quick, caches=tmp_path / "caches")
    start_idle(cells, settings, bytes_data, "train")
    (tmp_path / "caches" / "inductor").mkdir(parents=True)
    assert cells.take("train", settings, bytes_data) is None
    process = cells.take("train", settings, bytes_data)
    assert process is not None and (process.cell.tmp / "inductor").is_dir()
    process.kill()


@pytest.mark.slow
def test_a_cell_that_has_died_or_has_other_settings_is_not_used(
    cells: WarmCells, quick: Settings, bytes_data: Dataset
) -> None:
    start_idle(cells, quick, bytes_data, "claim", "audit")
    there = pids(cells)
    assert set(there) == {"claim", "audit"}
    assert cells.take("sample", quick, bytes_data) is None and pids(cells) == there
    os.kill(there["claim"], signal.SIGKILL)
    wait(lambda: not cells._idle["claim"][0].cell.is_running(), "its end")
    assert cells.take("claim", quick, bytes_data) is None
    assert cells.take("audit", replace(quick, threads=3), bytes_data) is None
    assert not alive(there["claim"]) and not alive(there["audit"])
    new = pids(cells)
    cells.close()
    assert set(new) == {"claim", "audit"} and not any(map(alive, new.values()))
