"""A trial that is not wanted any more ends at any stage, and leaves nothing behind."""

import threading
import time
from pathlib import Path

import psutil
import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Progress
from autoresearch.measure.settings import Settings, TrialPlan

SLOW = {
    "setup": ("def train(trial):", "def train(trial):\n    import time; time.sleep(60)"),
    "train": ("        step += 1", "        step += 1; import time; time.sleep(60)"),
    "score": ("def load(state, config, device):", "def load(state, config, device):\n    import time; time.sleep(60)"),
}


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("stage", SLOW)
def test_a_trial_ends_early_at_each_stage(stage: str, bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    slow = bigram.replace(*SLOW[stage], 1)
    assert slow != bigram
    reached = threading.Event()

    def watch(progress: Progress) -> None:
        if progress.stage == stage:
            threading.Timer(0.5, reached.set).start()

    files, started = open_files(), time.monotonic()
    result = CellReferee(quick, bytes_data).measure(slow, 1, TrialPlan(watch=watch, is_unwanted=reached.is_set))
    assert (result.outcome, result.ended_early, result.val_bpb) == ("infra", True, None)
    assert time.monotonic() - started < 40  # and not the minute that it sleeps
    left = [each for each in psutil.Process().children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE]
    assert left == []
    assert open_files() == files


def test_what_a_trial_has_measured_is_dropped(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    """Even where it has its score and only the holdout is left."""
    asked = threading.Event()

    def wants_holdout(val_bpb: float) -> bool:
        asked.set()
        return True

    plan = TrialPlan(wants_holdout=wants_holdout, is_unwanted=asked.is_set)
    result = CellReferee(quick, bytes_data).measure(bigram, 1, plan)
    assert (result.outcome, result.val_bpb, result.holdout_bpb, result.rows) == ("infra", None, None, None)
    assert result.as_json()["ended_early"] is True
