"""The pace of a training loop: steps of a device that works through a queue, while the program is ahead of it."""

import time

import pytest

from autoresearch.measure.pace import Pace

BUDGET_S, STEP_S, RESERVE_S = 1.0, 0.02, 0.05
SLACK_S = 0.2  # a sleep may take longer on a busy machine


class Device:
    """A device that needs real time for each step; a program can be `depth` steps ahead of it."""

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.ends: list[float] = []

    def launch(self, seconds: float) -> None:
        if len(self.ends) >= self.depth:
            wait_until(self.ends[-self.depth])
        self.ends.append(max([time.monotonic(), *self.ends[-1:]]) + seconds)

    def synchronize(self) -> None:
        wait_until(max(self.ends, default=0.0))


def wait_until(end: float) -> None:
    time.sleep(max(0.0, end - time.monotonic()))


def train(device: Device, pace: Pace, charged: float = 0.0, step_s: float = STEP_S) -> float:
    """Train as train.py does; return what is spent of the budget when the device is done."""
    started = time.monotonic() - charged
    pace.start(charged)
    seen = [0.0]
    while (progress := pace.progress(RESERVE_S)) < 1:
        assert progress >= seen[-1] - 1e-9
        seen.append(progress)
        device.launch(step_s)
    device.synchronize()
    return time.monotonic() - started


@pytest.mark.parametrize("depth", [1, 3, 20, 10_000])
def test_the_work_that_is_queued_at_the_end_leaves_time_to_save(depth: int) -> None:
    device = Device(depth)
    pace = Pace(BUDGET_S, time.monotonic, device)
    pace.save_time = 0.1
    assert train(device, pace) < BUDGET_S - pace.save_time
    assert len(device.ends) * STEP_S > BUDGET_S - 2 * pace.save_time - 4 * STEP_S - SLACK_S


def test_without_waiting_for_the_device_a_save_would_come_too_late() -> None:
    device = Device(20)
    assert train(device, Pace(BUDGET_S, time.monotonic, None)) > BUDGET_S


def test_a_clock_that_starts_near_the_end_counts() -> None:
    device = Device(3)
    pace = Pace(60.0, time.monotonic, device)
    pace.save_time = 0.2
    spent = train(device, pace, charged=59.0)
    assert 59.0 < spent < 60.0 - pace.save_time


def test_a_program_waits_for_its_device_a_few_times_only_before_the_end() -> None:
    device = Device(3)
    waits = [0.0]

    class Counted:
        def synchronize(self) -> None:
            waits.append(time.monotonic() - started)
            device.synchronize()

    started = time.monotonic()
    train(device, Pace(2.0, time.monotonic, Counted()))
    early = [each for each in waits if each < 1.5]
    assert len(early) < 10 < len(device.ends)


def test_a_long_first_step_is_forgotten() -> None:
    device = Device(3)
    device.launch(0.3)
    pace = Pace(1.5, time.monotonic, device)
    assert train(device, pace) > 1.5 - RESERVE_S - 10 * STEP_S - SLACK_S


def test_steps_without_a_queue_are_as_long_as_they_look() -> None:
    pace = Pace(0.5, time.monotonic, None)
    pace.start(0.0)
    steps = 0
    while pace.progress(RESERVE_S) < 1:
        time.sleep(STEP_S)
        steps += 1
    assert 0 < steps <= (0.5 - RESERVE_S) / STEP_S


def test_a_reserve_longer_than_the_budget_ends_at_once() -> None:
    pace = Pace(1.0, time.monotonic, None)
    pace.save_time = 0.7
    pace.start(0.0)
    assert pace.progress(0.0) == 1.0
