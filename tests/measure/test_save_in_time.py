"""Large checkpoints near the end of a budget: saved in time, by a rehearsal before the clock runs."""

import os
from dataclasses import dataclass

import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure.cell_process import Harness
from autoresearch.measure.clock import Budget
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.result import Result
from autoresearch.measure.settings import Settings, TrialPlan
from autoresearch.measure.training import train

LEFT_S = 5.0  # of the budget when the clock starts
TIMES, MEGABYTES = 3, 400  # by hand: 20 times, and 3900
LARGE = """
import time
import numpy as np

def train(trial):
    numbers = np.random.default_rng(trial.seed).random(MB * 25_000, np.float32)
    state = {f"w{k}": numbers for k in range(10)}
    trial.save(state, {})
    trial.start()
    step = 0
    while trial.progress < 1:
        time.sleep(0.13)
        step += 1
        trial.log(step=step, loss=1.0)
    trial.save(state, {})
"""

AHEAD = """
import time
import torch

ENDS = []

def launch(seconds):
    if len(ENDS) >= 30:
        time.sleep(max(0.0, ENDS[-30] - time.monotonic()))
    ENDS.append(max([time.monotonic(), *ENDS[-1:]]) + seconds)

def synchronize():
    time.sleep(max([0.0, *(end - time.monotonic() for end in ENDS[-1:])]))

torch.cuda.synchronize = synchronize  # of a device that needs real time for each step

def train(trial):
    state = {"w": torch.zeros(1_000_000)}
    trial.save(state, {})
    trial.start()
    step = 0
    while trial.progress < 1:
        launch(0.2)
        step += 1
        trial.log(step=step, loss=1.0)
    synchronize()  # the copy of the first tensor waits for the device
    trial.save(state, {})
"""


@dataclass(frozen=True)
class NearTheEnd(TrialPlan):
    """A plan whose clock starts `LEFT_S` before the bell."""

    def charge_setup(self, spent: float, budget: Budget) -> float:
        return budget.amount - LEFT_S


@pytest.mark.slow
@pytest.mark.parametrize("budget", ["60s", "300s"])
def test_a_large_state_is_saved_in_the_last_seconds(bytes_data: Dataset, budget: str) -> None:
    harness = Harness(Settings(Budget.parse(budget)), bytes_data)
    for seed in range(TIMES):
        result = Result()
        checkpoint = train(LARGE.replace("MB", str(MEGABYTES)), seed, harness, result, NearTheEnd())
        assert checkpoint is not None, f"{seed}: {result.reason}"
        assert os.fstat(checkpoint).st_size > 1e6 * MEGABYTES
        os.close(checkpoint)


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.parametrize(("device", "saves"), [("cuda", True), ("cpu", False)])
def test_a_program_may_be_thirty_steps_ahead_of_its_device(bytes_data: Dataset, device: str, saves: bool) -> None:
    result = Result()
    harness = Harness(Settings(Budget.parse("60s"), device), bytes_data)
    checkpoint = train(AHEAD, 0, harness, result, NearTheEnd())
    assert (checkpoint is not None) is saves, result.reason
    assert result.reported["step"] > 0.5 * LEFT_S / 0.2
    if checkpoint is not None:
        os.close(checkpoint)


@pytest.mark.slow
def test_a_rehearsal_sends_nothing_and_what_is_saved_later_counts(
    bigram: str, quick: Settings, bytes_data: Dataset
) -> None:
    rehearses = bigram.replace(
        "    trial.start()", "    trial.save({'logits': np.zeros((9, 9))}, {})\n    trial.start()"
    )
    expected = CellReferee(quick, bytes_data).measure(bigram, 1)
    result = CellReferee(quick, bytes_data).measure(rehearses, 1)
    assert result.outcome == "ok", result.reason
    assert (result.val_bpb, result.parameters) == (expected.val_bpb, expected.parameters)


def test_a_rehearsal_alone_saves_nothing(bigram: str, quick: Settings, bytes_data: Dataset) -> None:
    only = bigram.replace("    trial.save(", "    print(").replace(
        "    trial.start()", "    trial.save({'x': np.zeros(3)}, {})\n    trial.start()"
    )
    result = CellReferee(quick, bytes_data).measure(only, 1)
    assert result.outcome == "nothing_saved" and "was not called" in result.reason
