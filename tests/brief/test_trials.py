"""Tables of the newest trials: means over the trials of a version, times on the clock of the budget."""

from typing import Any

import pytest

from autoresearch.brief.newest_trials import MeasuredVersion, tables
from autoresearch.measure.clock import Budget


def result(steps: int = 100, step_seconds: float = 0.1, start: float = 2.0, **more: Any) -> dict[str, Any]:
    """Return the result of a trial that takes its first step at `start`, with a falling loss."""
    points = range(10, steps + 1, 10)
    curve = [{"step": float(k), "loss": 4 - k / 100, "seconds": start + k * step_seconds} for k in points]
    reported = {"step": float(steps), "tokens_per_step": 512.0}
    return {"curve": curve, "reported": reported, "train_seconds": 20.0, "setup_seconds": 1.5, "used": 12.5} | more


def test_speed_is_a_mean_over_trials_and_leaves_out_work_before_the_first_step() -> None:
    lines = tables([MeasuredVersion(7, "keep", [result(), result(80, used=13.5)])], Budget(15, "cpu"), "cpu")
    assert lines[0] == "| version | trials | steps | CPU-seconds trained | ms a step | tokens a step | setup, s |"
    assert lines[2] == "| 7, keep | 2 | 90 | 13.0 | 100 | 512 | 1.5 |"


@pytest.mark.parametrize(
    "budget, device, clock, used",
    [
        ("300s", "cuda", "GPU-seconds", "12.5"),
        ("300s", "cpu", "seconds", "12.5"),
        ("100steps", "cpu", "seconds", "20.0"),
    ],
)
def test_the_clock_is_that_of_the_budget(budget: str, device: str, clock: str, used: str) -> None:
    lines = tables([MeasuredVersion(7, "keep", [result()])], Budget.parse(budget), device)
    assert f"| {clock} trained |" in lines[0] and lines[2].startswith(f"| 7, keep | 1 | 100 | {used} |")


def test_a_trial_of_an_older_version_used_the_budget_until_its_last_point() -> None:
    old = {name: value for name, value in result().items() if name != "used"}
    assert "| 12.0 |" in tables([MeasuredVersion(7, "keep", [old])], Budget(15, "cpu"), "cpu")[2]


def test_tenths_without_a_point_are_empty() -> None:
    row = tables([MeasuredVersion(7, "keep", [result()])], Budget(10, "cpu"), "cpu")[-1]
    cells = row.split(" | ")
    assert cells[:5] == ["| 7", "-", "-", "-", "3.900"] and cells[-1] == "3.150±0.065 |"


def test_what_reports_nothing_has_no_numbers_and_without_trials_there_is_no_table() -> None:
    lines = tables([MeasuredVersion(7, "crash", [{"curve": [], "reported": None}])], Budget(15, "cpu"), "cpu")
    assert lines[2] == "| 7, crash | 1 | - | - | - | - | - |" and lines[-1] == "| 7" + " | -" * 10 + " |"
    assert tables([MeasuredVersion(7, "crash", [])], Budget(15, "cpu"), "cpu") == []
