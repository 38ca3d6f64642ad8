"""Curves are means of what was reported, over the whole run, and tenths have an error."""

from itertools import pairwise
from statistics import fmean, stdev

import pytest

from autoresearch.data.dataset import Dataset
from autoresearch.measure.clock import Budget
from autoresearch.measure.loss_curve import CURVE_POINTS, CurveRecorder, Tenth, tenths
from autoresearch.measure.referee import CellReferee
from autoresearch.measure.settings import Settings


def recorded(losses: list[float]) -> list[dict[str, float]]:
    recorder = CurveRecorder([])
    for step, loss in enumerate(losses, start=1):
        recorder.add({"step": float(step), "loss": loss, "seconds": step / 10})
    recorder.finish()
    return recorder.points


@pytest.mark.parametrize("count", [1, CURVE_POINTS - 1, CURVE_POINTS, 2 * CURVE_POINTS, 7777])
def test_a_long_curve_is_short_and_every_loss_counts(count: int) -> None:
    losses = [float(k % 7) for k in range(count)]
    points = recorded(losses)
    assert len(points) <= CURVE_POINTS and points[-1]["step"] == count
    ends = [0, *(int(point["step"]) for point in points)]
    for point, first, last in zip(points, ends, ends[1:], strict=False):
        assert point["loss"] == pytest.approx(fmean(losses[first:last])) and point["seconds"] == last / 10
    assert len({last - first for first, last in pairwise(ends[:-1])}) <= 1


def test_tenths_of_the_budget_have_a_mean_and_an_error_over_all_trials() -> None:
    first, second = recorded([4.0, 3.0, 3.0, 2.0]), recorded([5.0])  # at 0.1 to 0.4 s, and at 0.1 s
    found = tenths([first, second], Budget(1.0, "s"))
    assert found[1] == Tenth(4.5, stdev([4.0, 5.0]) / 2**0.5)
    assert found[4] == Tenth(2.0, None)
    assert found[0] is None and found[5:] == [None] * 5
    assert tenths([first], Budget(4, "steps"))[9] == Tenth(2.0, None)


def test_absurd_points_count_for_nothing() -> None:
    points = [
        {"loss": None, "seconds": 0.1},
        {"loss": 1.0},
        {"seconds": 9e99, "loss": 1.0},
        {"seconds": -5, "loss": 2.0},
    ]
    assert tenths([points], Budget(1.0, "s"))[0] == Tenth(2.0, None)


def test_losses_that_are_reported_fast_are_sent_as_their_mean(
    bytes_data: Dataset, quick: Settings, bigram: str
) -> None:
    """The losses of the twenty steps are 1 to 20; how they are grouped depends on the time."""
    result = CellReferee(quick, bytes_data).measure(bigram.replace("loss=1.0 / step", "loss=step"), 1)
    ends = [0, *(int(point["step"]) for point in result.curve)]
    assert ends[-1] == 20
    for point, first, last in zip(result.curve, ends, ends[1:], strict=False):
        assert point["loss"] == fmean(range(first + 1, last + 1))


def test_how_much_of_the_budget_was_used_is_recorded(bytes_data: Dataset, bigram: str) -> None:
    settings = Settings(Budget.parse("0.5cpu"), eval_rows=64, eval_batch=16)
    result = CellReferee(settings, bytes_data).measure(bigram, 1)
    assert result.outcome == "ok" and 0.2 < result.used <= 0.6
